"""Pictures of the figures as SVG: dots with their intervals, no script, no font or style of others.

They are read in a README at 800 pixels and in the dark: text has the reader's own font, colours follow
the reader's choice of light or dark. koine's dots are filled and coloured, others' are grey.
"""

import math
from dataclasses import dataclass
from statistics import median

import report

WIDTH = 880
NAMES_WIDTH = 150
ROW_HEIGHT = 19
TITLE_HEIGHT = 66
PANEL_HEAD = 30
PANEL_FOOT = 34

STYLE = """<style>
text{font:12px system-ui,-apple-system,'Segoe UI',sans-serif;fill:#333}
.back{fill:#fff}.title{font-size:17px;font-weight:600}.panel{font-weight:600}.quiet{fill:#777;font-size:11px}
.grid{stroke:#e4e4e4}.one{stroke:#888;stroke-dasharray:3 3}
.other{fill:#999;stroke:#999}.koine{fill:#d55e00;stroke:#d55e00}text.koine{stroke:none;font-weight:600}
@media(prefers-color-scheme:dark){
text{fill:#ddd}.back{fill:#16181c}.quiet{fill:#9a9a9a}.grid{stroke:#2c3036}.one{stroke:#999}
.other{fill:#8a8f98;stroke:#8a8f98}.koine{fill:#ff8a4c;stroke:#ff8a4c}
}
</style>"""


@dataclass(frozen=True)
class Dot:
    name: str
    middle: float
    low: float
    high: float


@dataclass(frozen=True)
class Panel:
    title: str
    dots: list[Dot]
    marks: list[float]  # on the axis; the first and the last are its ends
    is_log: bool = False
    reference: float | None = None  # a line to compare with
    unit: str = ""
    has_numbers: bool = False  # beside the dots

    def place(self, value: float) -> float:
        """From 0 at the axis's begin to 1 at its end; what lies beyond is at the end."""
        scale = (lambda number: math.log(max(number, self.marks[0]))) if self.is_log else float
        begin, end = scale(self.marks[0]), scale(self.marks[-1])
        return min(max((scale(value) - begin) / (end - begin), 0), 1)


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def text(x: float, y: float, words: str, classes: str = "", anchor: str = "start") -> str:
    return (f'<text x="{x:.1f}" y="{y:.1f}" class="{classes}" text-anchor="{anchor}">'
            f"{escaped(words)}</text>")


def line(x1: float, y1: float, x2: float, y2: float, classes: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{classes}"/>'


def number(value: float) -> str:
    if value >= 1000 and value % 1000 == 0:
        return f"{value / 1000:g}k"
    return f"{value:g}"


def is_koine(name: str) -> bool:
    return name.startswith("koine")


def draw_panel(panel: Panel, names: list[str], x: float, y: float, width: float) -> list[str]:
    height = ROW_HEIGHT * len(names)
    at = lambda value: x + panel.place(value) * width  # noqa: E731
    lines = [text(x, y - 10, panel.title, "panel")]
    for mark in panel.marks:
        lines += [line(at(mark), y, at(mark), y + height, "grid"),
                  text(at(mark), y + height + 15, number(mark), "quiet", "middle")]
    lines.append(text(x + width / 2, y + height + 29, panel.unit, "quiet", "middle"))
    if panel.reference is not None:
        lines.append(line(at(panel.reference), y, at(panel.reference), y + height, "one"))
    for dot in panel.dots:
        middle = y + ROW_HEIGHT * (names.index(dot.name) + 0.5)
        classes = "koine" if is_koine(dot.name) else "other"
        if dot.middle > panel.marks[-1]:  # beyond: an arrow and the number
            lines += [text(x + width - 10, middle + 4, f"{report.significant(dot.middle)}", "quiet",
                           "end"),
                      f'<path d="M{x + width:.1f} {middle:.1f}l-7 -4v8z" class="{classes}"/>']
            continue
        lines += [line(at(dot.low), middle, at(dot.high), middle, classes),
                  f'<circle cx="{at(dot.middle):.1f}" cy="{middle:.1f}" r="3.5" class="{classes}"/>']
        if panel.has_numbers:  # where there is room
            side = -1 if panel.place(dot.high) > 0.85 else 1
            lines.append(text(at(dot.high if side > 0 else dot.low) + 9 * side, middle + 4,
                              report.significant(dot.middle), "quiet", "start" if side > 0 else "end"))
    return lines


def picture(title: str, subtitle: str, panels: list[Panel], across: int) -> str:
    """Panels in rows of `across`, with the servers' names at the left of each row."""
    names = list(dict.fromkeys(dot.name for panel in panels for dot in panel.dots))
    across = min(across, len(panels))
    step = (WIDTH - NAMES_WIDTH) / across
    row_height = PANEL_HEAD + ROW_HEIGHT * len(names) + PANEL_FOOT
    height = TITLE_HEIGHT + row_height * math.ceil(len(panels) / across) + 8
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
             f'height="{height}" role="img">', f"<title>{escaped(title)}</title>", STYLE,
             '<rect width="100%" height="100%" class="back"/>',
             text(16, 28, title, "title"), text(16, 48, subtitle, "quiet")]
    for index, panel in enumerate(panels):
        y = TITLE_HEIGHT + PANEL_HEAD + row_height * (index // across)
        if index % across == 0:
            for row, name in enumerate(names):
                lines.append(text(NAMES_WIDTH - 10, y + ROW_HEIGHT * (row + 0.5) + 4, name,
                                  "koine" if is_koine(name) else "", "end"))
        x = NAMES_WIDTH + step * (index % across)
        lines += draw_panel(panel, names, x + 8, y, step - 30)
    return "\n".join([*lines, "</svg>", ""])


def cpu(run: dict, workloads: dict) -> str | None:
    """CPU time of each request as a ratio to the anchor, where the anchor is raw_epoll."""
    panels = []
    for name, samples in run["load"].items():
        if workloads[name].anchor != "raw_epoll" or name == "lines":
            continue
        label = report.best_label(samples)
        of_anchor = report.labelled(samples.get("raw_epoll", []), label)
        dots = [Dot(server, *report.ratio(these, of_anchor, "cpu_ns_per_request"))
                for server, every in samples.items()
                if of_anchor and (these := report.labelled(every, label)) and "spin" not in server
                and "busy" not in server]
        dots = [dot if not math.isnan(dot.low) else Dot(dot.name, dot.middle, dot.middle, dot.middle)
                for dot in dots]
        if dots:
            panels.append(Panel(f"{name} ({label})", dots, [0.8, 1.0, 1.2, 1.4, 1.6], reference=1.0,
                                unit="× raw_epoll"))
    return picture("CPU time of the server for each request", "Ratio to raw_epoll in the same run: median "
                   "and its 95 % interval. Less is better.", panels, 3) if panels else None


def marks_of_ten(values: list[float], least: float) -> list[float]:
    """Powers of ten around the values."""
    begin = math.floor(math.log10(max(min(values), least)))
    end = math.ceil(math.log10(max(max(values), least * 10)))
    return [10.0 ** power for power in range(begin, max(end, begin + 1) + 1)]


def idle(run: dict) -> str | None:
    dots = []
    for server, samples in run["idle"].items():
        values = [list(sample["bytes_per_connection"].values())[-1] for sample in samples]
        if values:
            dots.append(Dot(server, median(values), min(values), max(values)))
    if not dots:
        return None
    panel = Panel("bytes for each connection", dots, marks_of_ten([dot.middle for dot in dots], 10),
                  is_log=True, unit="bytes, each mark ten times the one before", has_numbers=True)
    return picture("Memory of an idle connection", "Private memory of the server's process. Less is "
                   "better; what is below 10 stands at the left end.", [panel], 1)


def udp(run: dict, workloads: dict) -> str | None:
    panels = []
    for name in ("udp", "udp-trains"):
        samples = run["load"].get(name, {})
        label = report.best_label(samples) if samples else ""
        dots = []
        for server, every in samples.items():
            values = [one["cpu_ns_per_request"] for one in report.labelled(every, label)]
            if values:
                dots.append(Dot(server, median(values), *report.interval_of_median(values)))
        if dots:
            panels.append(Panel(f"{'single' if name == 'udp' else 'in trains of 64'} ({label})", dots,
                                marks_of_ten([dot.middle for dot in dots], 10), is_log=True,
                                unit="ns for each datagram", has_numbers=True))
    return picture("CPU time of the server for each datagram", "Median and its 95 % interval. Less is "
                   "better; each mark is ten times the one before.", panels, 2) if panels else None


def all_of(run: dict, workloads: dict) -> dict[str, str]:
    """Pictures by name; those for which there are figures."""
    pictures = {"cpu": cpu(run, workloads), "udp": udp(run, workloads), "idle": idle(run)}
    return {name: of for name, of in pictures.items() if of}
