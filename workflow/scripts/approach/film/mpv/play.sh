#!/bin/sh
# Plays the triptych with mpv on one computer: three screens, one wide screen, or three windows.
#
#   ./play.sh                    left, centre and right on the screens 0, 1 and 2, each in full
#   ./play.sh wide               one picture over one wide screen
#   ./play.sh windows            three windows side by side, to look at on a desk
#   ./play.sh screens line-up    the test pictures with frame counters instead of the film
#
# SCREENS="2 0 1" names the screens from left to right, WIDTH=480 and HEIGHT=270 the size of a window, and
# START=<seconds since 1970> the moment of the first frame: several computers whose clocks agree can be given the same.
# sync.lua keeps every player at the place where that clock wants it. End with q in a window, or Ctrl-C here.
set -eu
cd "$(dirname "$0")"
mode=${1:-screens}
clip=${2:-}
start=${START:-$(($(date +%s) + 2))}
common="--no-config --no-audio --loop-file=inf --no-osc --no-osd-bar --osd-level=0 --cursor-autohide=always
  --no-input-default-bindings --no-border --keepaspect=no --hr-seek=yes --really-quiet
  --script=sync.lua --script-opts=sync-start=$start ${MPV_OPTIONS:-}"

play() { # film, then options of its own
  film=$1
  shift
  # shellcheck disable=SC2086 - the options are words
  mpv $common "$@" "${clip:+$clip-}$film.mp4" &
  players="${players:-} $!"
}

set -- ${SCREENS:-0 1 2}
width=${WIDTH:-480}
height=${HEIGHT:-270}
case $mode in
  wide) play wide --fs ;;
  screens)
    play left --fs --fs-screen="$1"
    play centre --fs --fs-screen="$2"
    play right --fs --fs-screen="$3"
    ;;
  windows)
    play left --geometry="${width}x${height}+0+0"
    play centre --geometry="${width}x${height}+${width}+0"
    play right --geometry="${width}x${height}+$((2 * width))+0"
    ;;
  *)
    echo "play.sh: $mode is none of screens, wide, windows" >&2
    exit 2
    ;;
esac
trap 'kill $players 2>/dev/null || true' INT TERM EXIT
wait
