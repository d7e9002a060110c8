// Charts in a terminal. A braille character is two dots wide and four high, so a plot of 60 columns
// and 11 rows has 120 by 44 points.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "cli/chart.h"
#include "cli/figures.h"

namespace koine::cli {
namespace {

constexpr std::size_t axis_columns = 8;

/// What is drawn so far: for each character its dots, or the letter that covers them.
class Canvas {
 public:
  Canvas(std::size_t columns, std::size_t rows)
      : columns_(columns), rows_(rows), cells_(columns * rows) {}

  /// Dot (0, 0) is at the lower left.
  void dot(std::size_t x, std::size_t y, std::size_t series) {
    // Unicode 15, section 21.1: the bit of each dot, by column and by row from above.
    constexpr std::array<std::array<unsigned, 4>, 2> bits{
        {{0x01, 0x02, 0x04, 0x40}, {0x08, 0x10, 0x20, 0x80}}};
    const std::size_t from_above = rows_ * 4 - 1 - std::min(y, rows_ * 4 - 1);
    Cell& cell = at(std::min(x / 2, columns_ - 1), from_above / 4);
    cell.dots |= bits[x % 2][from_above % 4];
    cell.series = series;
  }

  /// Writes `text` from `column` on, in the free row that is nearest to `row`.
  void label(std::size_t column, std::size_t row, const std::string& text, std::size_t series) {
    for (std::size_t distance = 0; distance < rows_; ++distance) {
      for (const std::size_t candidate : {row - distance, row + distance}) {
        if (candidate >= rows_ || !is_free(column, candidate, text.size())) continue;
        for (std::size_t i = 0; i < text.size(); ++i)
          at(column + i, candidate) = {.dots = 0, .letter = text[i], .series = series};
        return;
      }
    }
  }

  std::string row(std::size_t row, const Colours& colours) const {
    std::string text;
    std::size_t used = columns_;
    while (used > 0 && at(used - 1, row).dots == 0 && at(used - 1, row).letter == 0) --used;
    for (std::size_t column = 0; column < used; ++column) {
      const Cell& cell = at(column, row);
      text += in_colour(colours, cell.series, glyph(cell));
    }
    return text;
  }

 private:
  struct Cell {
    unsigned dots = 0;
    char letter = 0;
    std::size_t series = 0;
  };

  Cell& at(std::size_t column, std::size_t row) { return cells_[row * columns_ + column]; }
  const Cell& at(std::size_t column, std::size_t row) const {
    return cells_[row * columns_ + column];
  }

  bool is_free(std::size_t column, std::size_t row, std::size_t count) const {
    if (column + count > columns_) return false;
    for (std::size_t i = 0; i < count; ++i) {
      if (at(column + i, row).dots != 0 || at(column + i, row).letter != 0) return false;
    }
    return true;
  }

  static std::string glyph(const Cell& cell) {
    if (cell.letter != 0) return std::string(1, cell.letter);
    if (cell.dots == 0) return " ";
    // U+2800 and the bits, in UTF-8.
    return {static_cast<char>(0xe2), static_cast<char>(0xa0 | cell.dots >> 6),
            static_cast<char>(0x80 | (cell.dots & 0x3f))};
  }

  static std::string in_colour(const Colours& colours, std::size_t series,
                               const std::string& text) {
    if (text == " ") return text;
    switch (series % 4) {
      case 0: return colours.red(text);
      case 1: return colours.yellow(text);
      case 2: return colours.green(text);
      default: return colours.cyan(text);
    }
  }

  std::size_t columns_;
  std::size_t rows_;
  std::vector<Cell> cells_;
};

struct Point {
  double x;  // in dots
  double y;
};

void draw_line(Canvas& canvas, Point from, Point to, std::size_t series) {
  const double steps = std::ceil(std::max({std::abs(to.x - from.x), std::abs(to.y - from.y), 1.0}));
  for (double step = 0; step <= steps; ++step) {
    const double part = step / steps;
    canvas.dot(static_cast<std::size_t>(std::lround(from.x + (to.x - from.x) * part)),
               static_cast<std::size_t>(std::lround(from.y + (to.y - from.y) * part)), series);
  }
}

std::string x_axis(const Chart& chart, std::size_t columns) {
  std::string text(axis_columns + columns, ' ');
  for (const std::uint64_t x : chart.x) {
    const std::string mark = std::to_string(x);
    const auto middle = static_cast<std::size_t>(
        std::lround(place_of(x, chart.x) * static_cast<double>(columns - 1)));
    const std::size_t begin = axis_columns + middle - std::min(mark.size() / 2, middle);
    if (begin + mark.size() > text.size()) text.resize(begin + mark.size(), ' ');
    text.replace(begin, mark.size(), mark);
  }
  return text.substr(0, text.find_last_not_of(' ') + 1) + "\n";
}

}  // namespace

std::vector<double> marks_up_to(double most) {
  constexpr double wanted = 5;
  const double rough = std::max(most, 1e-9) / wanted;
  const double magnitude = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * magnitude;
  for (const double digit : {1.0, 2.0, 2.5, 5.0}) {
    if (rough <= digit * magnitude) {
      step = digit * magnitude;
      break;
    }
  }
  std::vector<double> marks{0};
  while (marks.back() < most) marks.push_back(static_cast<double>(marks.size()) * step);
  return marks;
}

std::string mark_text(double mark) {
  std::string text = short_count(mark);
  const std::size_t dot = text.find('.');
  if (dot == std::string::npos) return text;
  const std::size_t end = std::min(text.find_first_not_of("0123456789.", dot), text.size());
  std::size_t keep = text.find_last_not_of('0', end - 1) + 1;
  if (keep == dot + 1) keep = dot;
  return text.erase(keep, end - keep);
}

double place_of(std::uint64_t x, const std::vector<std::uint64_t>& all) {
  if (all.front() == all.back()) return 0.5;
  const double first = std::log2(static_cast<double>(all.front()));
  const double last = std::log2(static_cast<double>(all.back()));
  return (std::log2(static_cast<double>(x)) - first) / (last - first);
}

std::string plot(const Chart& chart, std::size_t columns, const Colours& colours) {
  std::size_t name_columns = 0;
  double most = 0;
  for (const Series& series : chart.series) {
    name_columns = std::max(name_columns, series.name.size());
    for (const auto& value : series.values) most = std::max(most, value.value_or(0));
  }
  const std::size_t width = columns - axis_columns;
  const std::size_t line_width = width - name_columns - 2;  // the rest is for their names
  const std::vector<double> marks = marks_up_to(most);
  const double top = std::max(marks.back(), 1e-12);
  const std::size_t rows_per_mark = marks.size() > 4 ? 2 : 3;
  const std::size_t rows = (marks.size() - 1) * rows_per_mark + 1;
  // In rows above the lowest, whose middle is 0.
  const auto height_of = [&](double value) { return value / top * static_cast<double>(rows - 1); };
  Canvas canvas(width, rows);
  for (std::size_t number = 0; number < chart.series.size(); ++number) {
    const Series& series = chart.series[number];
    std::optional<Point> before;
    for (std::size_t i = 0; i < chart.x.size(); ++i) {
      if (!series.values[i]) continue;
      const Point point{place_of(chart.x[i], chart.x) * static_cast<double>(line_width * 2 - 1),
                        height_of(*series.values[i]) * 4 + 1.5};
      draw_line(canvas, before.value_or(point), point, number);
      before = point;
    }
  }
  for (std::size_t number = 0; number < chart.series.size(); ++number) {
    const Series& series = chart.series[number];
    const auto last = std::find_if(series.values.rbegin(), series.values.rend(),
                                   [](const auto& value) { return value.has_value(); });
    if (last == series.values.rend()) continue;
    const auto index = static_cast<std::size_t>(series.values.rend() - last) - 1;
    const auto column = static_cast<std::size_t>(place_of(chart.x[index], chart.x) *
                                                 static_cast<double>(line_width - 1));
    const auto from_below = static_cast<std::size_t>(std::lround(height_of(**last)));
    canvas.label(column + 2, rows - 1 - from_below, series.name, number);
  }
  std::string text = colours.bold(chart.title) + "\n";
  for (std::size_t row = 0; row < rows; ++row) {
    const std::size_t from_below = rows - 1 - row;
    const bool marked = from_below % rows_per_mark == 0;
    text += fmt::format("{:>{}} {} ", marked ? mark_text(marks[from_below / rows_per_mark]) : "",
                        axis_columns - 3, marked ? "+" : "|");
    text += canvas.row(row, colours) + "\n";
  }
  return text + x_axis(chart, line_width) +
         colours.dim(std::string(axis_columns, ' ') + chart.x_title) + "\n";
}

}  // namespace koine::cli
