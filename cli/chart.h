// A chart: lines over a logarithmic axis, drawn in a terminal or as SVG.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/terminal.h"

namespace koine::cli {

/// One line of a chart.
struct Series {
  std::string name;
  std::vector<std::optional<double>> values;  ///< for each x; nothing where there is no point
};

struct Chart {
  std::string title;
  std::string x_title;
  std::vector<std::uint64_t> x;  ///< rising, at least 1
  std::vector<Series> series;    ///< as many values each as there are x
};

/// A few marks for an axis from 0, the last of them at least `most`: 0, 20, 40, 60.
std::vector<double> marks_up_to(double most);

/// How a mark is written: "0", "2.5", "20k".
std::string mark_text(double mark);

/// Where `x` lies between the first and the last of `all`, from 0 to 1, by its logarithm. A single
/// one lies in the middle.
double place_of(std::uint64_t x, const std::vector<std::uint64_t>& all);

/// In braille characters, each line named at its end; no line is longer than `columns`, of which
/// 50 are needed.
std::string plot(const Chart& chart, std::size_t columns, const Colours& colours);

/// The charts side by side as a document of its own, in the colours of the viewer's desktop, light
/// or dark. `notes` are lines below.
std::string svg(const std::vector<Chart>& charts, const std::string& title,
                const std::string& subtitle, const std::vector<std::string>& notes);

}  // namespace koine::cli
