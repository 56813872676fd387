"""The transcript: a widget for each block, a bounded number of them, the older ones behind a stub."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.events import Click
from textual.message import Message
from textual.selection import Selection
from textual.widget import Widget

from host.frontends.tui.cells import BLANK, Drawing, Lines, drawing, styled
from host.frontends.tui.draw import GUTTER, draw, plural
from host.frontends.tui.drawn import Drawn
from host.frontends.tui.prose import finished
from host.frontends.view import Block, CallCard, ModelBlock, TurnBlock, UserBlock, View

KEEP = 200
CHUNK = 50


class BlockView(Drawn):
    """One block, drawn for the width it has."""

    def __init__(self, block: Block) -> None:
        super().__init__(self._draw, classes=_kind(block))
        self.block = block
        self.unfolded = 0

    def show_block(self, block: Block) -> None:
        self.block = block
        self.redraw()

    def _draw(self, width: int) -> Lines:
        return draw(self.block, width, self.unfolded)

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """Selected text without the column on the left."""
        found = super().get_selection(selection)
        if found is None:
            return None
        return "\n".join(line.removeprefix(" " * GUTTER).rstrip() for line in found[0].split("\n")), found[1]


class CardView(BlockView, can_focus=True):
    """A call's card; it can be reached and unfolded without a mouse."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("space,enter", "fold", "Fold or unfold")]

    def action_fold(self) -> None:
        """One line → folded at 40 lines → everything → one line."""
        more = self.unfolded == 1 and any(
            "space shows all" in line.plain for line in self.lines(self.content_size.width)
        )
        self.unfold(2 if more else 0 if self.unfolded else 1)

    def unfold(self, depth: int) -> None:
        self.unfolded = depth
        self.redraw()

    def on_click(self, event: Click) -> None:
        event.stop()
        if not self.screen.get_selected_text():
            self.action_fold()


class StreamView(Vertical):
    """A message that is still being written: what cannot change any more in one widget, the tail in another."""

    def __init__(self, block: ModelBlock) -> None:
        super().__init__(classes="said")
        self.cut = 0
        self.head = BlockView(ModelBlock(""))
        self.tail = TailView(block, first=True)

    def compose(self) -> ComposeResult:
        self.head.display = False
        yield self.head
        yield self.tail

    def show_block(self, block: ModelBlock) -> None:
        cut = self.cut + finished(block.text[self.cut :])
        if cut > self.cut:
            self.cut = cut
            self.head.display = True
            self.head.show_block(ModelBlock(block.text[:cut]))
            self.tail.first = False
        self.tail.show_block(ModelBlock(block.text[self.cut :], True, block.drafting))


class TailView(BlockView):
    """The end of a streaming message; it has the speaker's name only while nothing stands above it."""

    def __init__(self, block: Block, first: bool) -> None:
        super().__init__(block)
        self.first = first

    def _draw(self, width: int) -> Lines:
        first, *rest = super()._draw(width)
        return [first, *rest] if self.first else [BLANK, styled(" " * GUTTER) + first[GUTTER:], *rest]


class Earlier(Widget, can_focus=True):
    """What stands for the blocks that are not mounted."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("space,enter", "load", "Show earlier messages")]

    class Load(Message):
        """The user wants to see earlier blocks."""

    number = 0

    def render(self) -> Drawing:
        words = f"▲ {plural(self.number, 'earlier message')} · PgUp or Enter shows more"
        return drawing([styled(words, "$quiet")])

    def action_load(self) -> None:
        self.post_message(self.Load())

    def on_click(self) -> None:
        self.action_load()


class Transcript(VerticalScroll, can_focus=False):
    """Draws what changed in a view and keeps the end in sight until the user scrolls."""

    def __init__(self, view: View) -> None:
        super().__init__(id="transcript")
        self.view = view
        self._mounted: dict[str, BlockView | StreamView] = {}
        self._earlier: list[str] = []
        self._stub = Earlier(id="earlier")
        self._all = 0

    def compose(self) -> ComposeResult:
        self._stub.display = False
        yield self._stub

    def on_mount(self) -> None:
        self.anchor()

    def restart(self, view: View) -> None:
        """Begin again with another session."""
        for widget in self._mounted.values():
            widget.remove()
        self.view, self._mounted, self._earlier = view, {}, []
        self._count_earlier()
        self.anchor()

    def sync(self, changed: Iterable[str]) -> None:
        """Draw these blocks as they are now."""
        earlier = set(self._earlier)
        fresh = [key for key in dict.fromkeys(changed) if not self._update(key) and key not in earlier]
        fresh = [key for key in fresh if key in self.view.blocks]
        self._earlier += fresh[: -(KEEP - CHUNK)]
        fresh = fresh[-(KEEP - CHUNK) :]
        if fresh:
            self.mount_all(self._make(fresh))
        if len(self._mounted) > KEEP and self.scroll_y >= self.max_scroll_y - 1:
            self._prune()
        self._count_earlier()

    def _update(self, key: str) -> bool:
        """Draw a mounted block anew; whether it was one."""
        match self._mounted.get(key), self.view.blocks.get(key):
            case None, _:
                return False
            case widget, None:
                del self._mounted[key]
                widget.remove()
            case StreamView() as widget, ModelBlock(streaming=False) as block:
                self._mounted[key] = BlockView(block)
                self.mount(self._mounted[key], after=widget)
                widget.remove()
            case StreamView() as widget, ModelBlock() as block:
                widget.show_block(block)
            case BlockView() as widget, block:
                widget.show_block(block)
        return True

    def _make(self, keys: Iterable[str]) -> list[Widget]:
        made: list[Widget] = []
        last = next(reversed(self._mounted.values()), None)
        for key in keys:
            block = self.view.blocks[key]
            if isinstance(block, ModelBlock) and block.streaming:
                self._mounted[key] = StreamView(block)
            elif isinstance(block, CallCard):
                self._mounted[key] = card = CardView(block)
                card.unfolded = self._all
                card.set_class(not isinstance(last, CardView), "first")
            else:
                self._mounted[key] = BlockView(block)
            last = self._mounted[key]
            made.append(last)
        return made

    def _prune(self) -> None:
        for key in list(self._mounted)[:CHUNK]:
            self._mounted.pop(key).remove()
            self._earlier.append(key)

    def _count_earlier(self) -> None:
        self._stub.number = len(self._earlier)
        self._stub.display = bool(self._earlier)
        self._stub.refresh()

    def on_earlier_load(self) -> None:
        self.load_earlier()

    def load_earlier(self) -> None:
        """Mount the youngest of the blocks that are not; what is in sight stays in sight."""
        keys, self._earlier = self._earlier[-CHUNK:], self._earlier[:-CHUNK]
        after = dict(self._mounted)
        first = next(iter(after.values()), None)
        self._mounted = {}
        self.mount_all(self._make(keys), after=self._stub)
        self._mounted.update(after)
        self._count_earlier()
        if first is not None:
            self.release_anchor()
            self.call_after_refresh(self.scroll_to_widget, first, animate=False, top=True)

    def page(self, pages: int) -> None:
        """Scroll by pages; above the top stand the earlier messages."""
        if pages < 0 and self.scroll_y <= 0 and self._earlier:
            self.load_earlier()
        elif pages < 0:
            self.scroll_page_up(animate=False)
        else:
            self.scroll_page_down(animate=False)

    def unfold_all(self) -> None:
        """All cards open, or all closed again."""
        self._all = 0 if self._all else 1
        for card in self._cards():
            card.unfold(self._all)

    def _cards(self) -> Iterator[CardView]:
        return (widget for widget in self._mounted.values() if isinstance(widget, CardView))

    def move_cursor(self, step: int) -> bool:
        """Focus the next card up or down; False where there is none."""
        stops: list[Widget] = [*([self._stub] if self._earlier else []), *self._cards()]
        focused = self.screen.focused
        place = stops.index(focused) + step if focused in stops else len(stops) - 1 if step < 0 else len(stops)
        if not stops or place >= len(stops):
            return False
        stops[max(place, 0)].focus()
        return True


def _kind(block: Block) -> str:
    match block:
        case UserBlock():
            return "user"
        case ModelBlock():
            return "said"
        case CallCard():
            return "card"
        case TurnBlock():
            return "turn"
        case _:
            return "note"
