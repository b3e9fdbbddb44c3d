-- Keeps this player where one clock wants it: (time now - start) modulo the film's length. Small differences are made up
-- by playing up to 5 % faster or slower, large ones by one exact seek. The clock is the computer's; mpv's own, which counts
-- fractions of a second but from anywhere, is set by it once.
local options = { start = 0 }
require("mp.options").read_options(options, "sync")

local offset, doubt = 0, math.huge
for _ = 1, 40 do -- the quickest answer is the surest
  if doubt < 0.004 then break end
  local before = mp.get_time()
  local date = mp.command_native({ name = "subprocess", args = { "date", "+%s.%N" }, capture_stdout = true })
  local after = mp.get_time()
  local told = date and tonumber(date.stdout)
  if told and after - before < doubt then
    offset, doubt = told - (before + after) / 2, after - before
  end
end

local nothing, far = 0.002, 0.5 -- seconds
local least, until_then, settled = math.huge, 0, 0

-- How late the picture is that is shown now, in seconds; and where the clock wants the film.
local function late()
  local length, at = mp.get_property_number("duration"), mp.get_property_number("time-pos")
  if not length or not at or length <= 0 then return nil end
  local wanted = (mp.get_time() + offset - options.start) % length
  local by = wanted - at
  if by > length / 2 then by = by - length elseif by < -length / 2 then by = by + length end
  return by, wanted, length
end

local function follow()
  local now = mp.get_time()
  local by, wanted, length = late()
  if not by or mp.get_property_bool("seeking") or now < settled then return end
  -- This script may be told of a picture late, never early: of a second's pictures, the least late tells the truth.
  least = math.min(least, by)
  if now < until_then then return end
  local found = least
  least, until_then = math.huge, now + 1
  if math.abs(found) > far then
    mp.set_property_number("speed", 1)
    mp.commandv("seek", (wanted + 0.1) % length, "absolute+exact")
    settled, until_then = now + 1, now + 2
    return
  end
  mp.msg.verbose(string.format("late by %.4f s, clock known to %.4f s", found, doubt))
  mp.set_property_number("speed", math.abs(found) > nothing and 1 + math.max(-0.05, math.min(0.05, 0.6 * found)) or 1)
end

local function begin()
  local left = options.start - mp.get_time() - offset
  if left > 0 then
    mp.set_property_bool("pause", true)
    mp.add_timeout(left, function() mp.set_property_bool("pause", false) end)
  end
  mp.observe_property("time-pos", "number", follow)
end
begin()
