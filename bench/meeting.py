"""Many searches at once through one pair of networks: what they all ask for in a round is evaluated together.

Each search runs in a thread of its own and sees a Seat in the place of the landscape. It waits while the others
think; when all have asked, the main thread evaluates everything and all go on. So a GPU is full although the searches
are written one by one, and a search in its last stage, of few members, costs no more than its members.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from landscape import Landscape


@dataclass
class Request:
    """What a search wants to know: gradients, values or distances of points [n, 256] against targets which [n]."""

    kind: str
    points: Tensor
    which: Tensor
    answer: Any = None


@dataclass
class Seat:
    """A landscape as one search sees it; whatever it has no word for is the landscape's."""

    landscape: Landscape
    meeting: "Meeting"
    units: float = 0.0
    request: Request | None = None
    result: Any = None
    error: BaseException | None = None
    done: bool = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.landscape, name)

    def gradients(self, points: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
        """As Landscape.gradients, together with the others."""
        self.units += len(points)
        return self.meeting.ask(self, Request("gradients", points, which))

    def values(self, points: Tensor, which: Tensor) -> Tensor:
        """As Landscape.values, together with the others."""
        self.units += len(points) / 3
        return self.meeting.ask(self, Request("values", points, which))

    def distances(self, points: Tensor, which: Tensor) -> Tensor:
        """As Landscape.distances, together with the others."""
        self.units += len(points) / 3
        return self.meeting.ask(self, Request("distances", points, which))


@dataclass
class Meeting:
    """Seats, and the rounds in which they are answered."""

    seats: list[Seat] = field(default_factory=list)
    turn: threading.Condition = field(default_factory=threading.Condition)

    def open(self, landscape: Landscape, work: Callable[[Seat], Any]) -> Seat:
        """Begin a search, `work`, on a seat of its own; its result will be the seat's."""
        seat = Seat(landscape, self)

        def run() -> None:
            try:
                seat.result = work(seat)
            except BaseException as error:
                seat.error = error
            with self.turn:
                seat.done = True
                self.turn.notify_all()

        self.seats.append(seat)
        threading.Thread(target=run, daemon=True).start()
        return seat

    def ask(self, seat: Seat, request: Request) -> Any:
        """Called by a search: wait for the round's answer."""
        with self.turn:
            seat.request = request
            self.turn.notify_all()
            self.turn.wait_for(lambda: request.answer is not None)
        return request.answer

    def round(self) -> list[Seat]:
        """Called by the main thread: answer what all have asked, and return the seats that are done.

        Raises:
            whatever a search raised.
        """
        with self.turn:
            self.turn.wait_for(lambda: all(seat.done or seat.request for seat in self.seats))
            done = [seat for seat in self.seats if seat.done]
            self.seats = [seat for seat in self.seats if not seat.done]
        for seat in done:
            if seat.error:
                raise seat.error
        answers = self.evaluated()
        with self.turn:
            for seat, answer in answers:
                seat.request.answer, seat.request = answer, None
            self.turn.notify_all()
        return done

    def evaluated(self) -> list[tuple[Seat, Any]]:
        """The answers to what the seats ask, those of one landscape and kind computed together."""
        answers = []
        groups: dict[tuple[int, str], list[Seat]] = {}
        for seat in self.seats:
            groups.setdefault((id(seat.landscape), seat.request.kind), []).append(seat)
        for (_, kind), seats in groups.items():
            points = torch.cat([seat.request.points for seat in seats])
            which = torch.cat([seat.request.which for seat in seats])
            found = getattr(seats[0].landscape, kind)(points, which)
            sizes = [len(seat.request.points) for seat in seats]
            if kind == "gradients":
                answers += zip(seats, zip(*(part.split(sizes) for part in found), strict=True), strict=True)
            else:
                answers += zip(seats, found.split(sizes), strict=True)
        return answers
