#include "cli/journeys.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "cli/exit_code.h"
#include "cli/terminal.h"
#include "koine/journey/export.h"
#include "koine/journey/picture.h"

namespace koine::cli {
namespace {

Result<void> write_file(const std::string& name, const std::string& text) {
  std::FILE* file = std::fopen(name.c_str(), "we");
  if (file == nullptr) return fail(Fault::system, output_operation, name, errno);
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  const int error = errno;
  if (std::fclose(file) != 0 || !written)
    return fail(Fault::system, output_operation, name, written ? errno : error);
  return {};
}

}  // namespace

Result<void> write_files(const JourneyFiles& files, const std::vector<journey::Journey>& journeys) {
  if (!files.pcapng.empty()) {
    const auto capture = journey::pcapng(journeys);
    if (!capture) return std::unexpected(capture.error());
    if (auto written = write_file(files.pcapng, *capture); !written) return written;
  }
  if (!files.perfetto.empty()) {
    if (auto written = write_file(files.perfetto, journey::perfetto_json(journeys)); !written)
      return written;
  }
  if (!files.otlp.empty()) {
    if (auto written = write_file(files.otlp, journey::otlp_json(journeys)); !written)
      return written;
  }
  return {};
}

std::string shown(const journey::Journey& journey, bool layers) {
  const auto columns = static_cast<std::size_t>(std::clamp(columns_of(STDOUT_FILENO), 60, 132));
  // A picture has no colours of its own choice: bold text stays as it is where there are none.
  const bool colours = Colours(STDOUT_FILENO).bold("x") != "x";
  const journey::PictureOptions options{.columns = columns, .colours = colours};
  std::string text = journey::waterfall(journey, options);
  if (layers && !journey.frames.empty()) text += "\n" + journey::layers(journey, options);
  return text;
}

}  // namespace koine::cli
