// Charts as SVG: one document, no script, no font or style from elsewhere.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "cli/chart.h"
#include "cli/figures.h"

namespace koine::cli {
namespace {

constexpr double panel_width = 420;
constexpr double panel_height = 250;
constexpr double left = 64;    // of a panel, for the marks of its axis
constexpr double right = 68;   // for the names of the lines
constexpr double above = 122;  // title, subtitle, legend, title of the panel
constexpr double line_height = 18;

/// Okabe and Ito's, which the colour-blind can tell apart; and a mark of its own for each.
constexpr std::array colours{"#d55e00", "#e69f00", "#009e73", "#0072b2"};
constexpr std::array dark_colours{"#ff8a4c", "#f5c04a", "#2ecc9b", "#5ab4f0"};

std::string escaped(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
      case '&': safe += "&amp;"; break;
      case '<': safe += "&lt;"; break;
      case '>': safe += "&gt;"; break;
      default: safe += c;
    }
  }
  return safe;
}

std::string style() {
  std::string text =
      "<style>\n"
      "text{font:13px system-ui,-apple-system,'Segoe UI',sans-serif;fill:#333}\n"
      ".back{fill:#fff}.title{font-size:19px;font-weight:600}.panel{font-weight:600}\n"
      ".quiet{fill:#777;font-size:12px}.grid{stroke:#e4e4e4}.axis{stroke:#999}\n"
      "polyline{fill:none;stroke-width:2.2;stroke-linejoin:round}\n";
  std::string dark;
  for (std::size_t i = 0; i < colours.size(); ++i) {
    const auto rules = [i](const char* colour) {
      return fmt::format("polyline.c{0}{{stroke:{1}}}.m.c{0},text.c{0}{{fill:{1}}}\n", i, colour);
    };
    text += rules(colours[i]);
    dark += rules(dark_colours[i]);
  }
  return text +
         "@media(prefers-color-scheme:dark){\n"
         "text{fill:#ddd}.back{fill:#16181c}.quiet{fill:#9a9a9a}.grid{stroke:#2c3036}"
         ".axis{stroke:#666}\n" +
         dark + "}\n</style>\n";
}

std::string text_at(double x, double y, const std::string& classes, const std::string& text,
                    const char* anchor = "start") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" class=\"{}\" text-anchor=\"{}\">{}</text>\n",
                     x, y, classes, anchor, escaped(text));
}

std::string line(double x1, double y1, double x2, double y2, const char* classes) {
  return fmt::format(
      "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" class=\"{}\"/>\n", x1, y1, x2,
      y2, classes);
}

/// A circle, square, diamond or triangle around a point.
std::string mark(double x, double y, std::size_t series) {
  const std::string classes = fmt::format("m c{}", series % colours.size());
  switch (series % 4) {
    case 0:
      return fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\" class=\"{}\"/>\n", x, y,
                         classes);
    case 1:
      return fmt::format(
          "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"7\" height=\"7\" class=\"{}\"/>\n", x - 3.5,
          y - 3.5, classes);
    case 2:
      return fmt::format("<path d=\"M{:.1f} {:.1f}l5 5l-5 5l-5-5z\" class=\"{}\"/>\n", x, y - 5,
                         classes);
    default:
      return fmt::format("<path d=\"M{:.1f} {:.1f}l5 9h-10z\" class=\"{}\"/>\n", x, y - 5, classes);
  }
}

/// One chart; its plot begins at (x, y).
class Panel {
 public:
  Panel(const Chart& chart, double x, double y) : chart_(chart), x_(x), y_(y) {
    for (const Series& series : chart.series) {
      for (const auto& value : series.values) most_ = std::max(most_, value.value_or(0));
    }
    marks_ = marks_up_to(most_);
  }

  std::string draw() const {
    std::string text = text_at(x_, y_ - 14, "panel", chart_.title);
    for (const double value : marks_) {
      text += line(x_, height_of(value), x_ + panel_width, height_of(value),
                   value == 0 ? "axis" : "grid");
      text += text_at(x_ - 8, height_of(value) + 4, "quiet", mark_text(value), "end");
    }
    const double bottom = y_ + panel_height;
    for (const std::uint64_t x : chart_.x) {
      text += line(column_of(x), bottom, column_of(x), bottom + 5, "axis");
      text += text_at(column_of(x), bottom + 20, "quiet", grouped(x), "middle");
    }
    text += text_at(x_ + panel_width / 2, bottom + 40, "quiet", chart_.x_title, "middle");
    for (std::size_t number = 0; number < chart_.series.size(); ++number) text += draw_line(number);
    return text + draw_names();
  }

 private:
  double column_of(std::uint64_t x) const { return x_ + place_of(x, chart_.x) * panel_width; }
  double height_of(double value) const {
    return y_ + panel_height * (1 - value / std::max(marks_.back(), 1e-12));
  }

  std::string draw_line(std::size_t number) const {
    std::string points;
    std::string marks;
    for (std::size_t i = 0; i < chart_.x.size(); ++i) {
      const auto value = chart_.series[number].values[i];
      if (!value) continue;
      points += fmt::format("{:.1f},{:.1f} ", column_of(chart_.x[i]), height_of(*value));
      marks += mark(column_of(chart_.x[i]), height_of(*value), number);
    }
    return fmt::format("<polyline points=\"{}\" class=\"c{}\"/>\n", points,
                       number % colours.size()) +
           marks;
  }

  /// Each line's name beside the plot, pushed apart where they would touch. One that ends before
  /// the others is named in the legend only.
  std::string draw_names() const {
    struct Name {
      double x;
      double y;
      std::size_t number;
    };
    std::vector<Name> names;
    for (std::size_t number = 0; number < chart_.series.size(); ++number) {
      if (const auto value = chart_.series[number].values.back())
        names.push_back({x_ + panel_width + 10, height_of(*value) + 4, number});
    }
    std::ranges::sort(names, {}, &Name::y);
    std::string text;
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (i > 0) names[i].y = std::max(names[i].y, names[i - 1].y + 15);
      text += text_at(names[i].x, names[i].y, fmt::format("c{}", names[i].number % colours.size()),
                      chart_.series[names[i].number].name);
    }
    return text;
  }

  const Chart& chart_;
  double x_;
  double y_;
  double most_ = 0;
  std::vector<double> marks_;
};

std::string legend(const Chart& chart, double x, double y) {
  std::string text;
  for (std::size_t number = 0; number < chart.series.size(); ++number) {
    text += mark(x, y - 4, number) + text_at(x + 10, y, "", chart.series[number].name);
    x += 90;
  }
  return text;
}

}  // namespace

std::string svg(const std::vector<Chart>& charts, const std::string& title,
                const std::string& subtitle, const std::vector<std::string>& notes) {
  const double width = static_cast<double>(charts.size()) * (left + panel_width + right);
  const double notes_at = above + panel_height + 72;
  const double height = notes_at + line_height * static_cast<double>(notes.size());
  std::string text = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" "
      "height=\"{1:.0f}\" role=\"img\">\n<title>{2}</title>\n",
      width, height, escaped(title));
  text += style() + "<rect width=\"100%\" height=\"100%\" class=\"back\"/>\n";
  text += text_at(left, 32, "title", title) + text_at(left, 54, "quiet", subtitle);
  if (!charts.empty()) text += legend(charts.front(), left + 4, 78);
  double x = left;
  for (const Chart& chart : charts) {
    text += Panel(chart, x, above).draw();
    x += panel_width + right + left;
  }
  double y = notes_at;
  for (const std::string& note : notes) {
    text += text_at(left, y, "quiet", note);
    y += line_height;
  }
  return text + "</svg>\n";
}

}  // namespace koine::cli
