#include "tools/sim_report.h"

#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace stokefs::tools {
namespace {

[[gnu::format(printf, 1, 2)]] std::string Text(const char* format, ...) {
  char buffer[512];
  va_list arguments;
  va_start(arguments, format);
  int const length = std::vsnprintf(buffer, sizeof buffer, format, arguments);
  va_end(arguments);
  return {buffer, static_cast<size_t>(std::clamp(length, 0, int{sizeof buffer} - 1))};
}

double Rounded(double value) { return std::round(value * 1e6) / 1e6; }

std::string Escaped(const std::string& text) {
  std::string out;
  for (char const c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else
      out += c;
  }
  return out;
}

// Where the drawing is, in its own units.
struct Frame {
  static constexpr double kLeft = 60, kTop = 40, kWidth = 520, kHeight = 360;
  static double X(double memory) { return kLeft + memory * kWidth; }
  static double Y(double hit_ratio) { return kTop + (1 - hit_ratio) * kHeight; }
};

std::string Axes() {
  std::string out;
  for (int i = 0; i <= 10; i += 2) {
    double const v = i / 10.0;
    out += Text("<path d=\"M%.1f %.1fV%.1fM%.1f %.1fH%.1f\" stroke=\"#ddd\"/>\n", Frame::X(v),
                Frame::Y(0), Frame::Y(1), Frame::X(0), Frame::Y(v), Frame::X(1));
    out += Text("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%.1f</text>\n", Frame::X(v),
                Frame::Y(0) + 18, v);
    out += Text("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%.1f</text>\n", Frame::X(0) - 8,
                Frame::Y(v) + 4, v);
  }
  out += Text("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">memory / dataset</text>\n",
              Frame::X(0.5), Frame::Y(0) + 38);
  out += Text(
      "<text transform=\"translate(18 %.1f) rotate(-90)\" text-anchor=\"middle\">"
      "hit ratio of an epoch</text>\n",
      Frame::Y(0.5));
  return out;
}

std::string Legend(size_t place, const std::string& name, const std::string& stroke) {
  double const y = Frame::kTop + 10 + 20 * static_cast<double>(place);
  return Text("<path d=\"M600 %.1fh24\" fill=\"none\" %s/>\n", y, stroke.c_str()) +
         Text("<text x=\"630\" y=\"%.1f\">%s</text>\n", y + 4, Escaped(name).c_str());
}

}  // namespace

std::string SimTable(const std::vector<SimRow>& rows, const std::function<double(double)>& bound) {
  std::string out = "policy    memory  hit ratio   bound  reads/sample  loads/chunk  coverage\n";
  for (const SimRow& row : rows)
    out += Text("%-8s  %6.3g  %9.3f  %6.3f  %12.2f  %11.2f  %8.3f\n", row.policy.c_str(),
                row.memory, row.hit_ratio, bound(row.memory), row.reads_per_sample,
                row.loads_per_chunk, row.coverage);
  return out;
}

std::string SimJson(const std::vector<SimRow>& rows) {
  auto list = nlohmann::ordered_json::array();
  for (const SimRow& row : rows)
    list.push_back({{"policy", row.policy},
                    {"memory", row.memory},
                    {"hit_ratio", Rounded(row.hit_ratio)},
                    {"reads_per_sample", Rounded(row.reads_per_sample)},
                    {"loads_per_chunk", Rounded(row.loads_per_chunk)},
                    {"coverage", Rounded(row.coverage)}});
  return list.dump(2) + "\n";
}

std::string SimSvg(const std::vector<SimRow>& rows, const std::string& title,
                   const std::function<double(double)>& bound) {
  static const char* const kColours[] = {"#d62728", "#1f77b4", "#2ca02c", "#ff7f0e", "#9467bd",
                                         "#8c564b", "#e377c2", "#17becf", "#bcbd22"};
  std::string out =
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 720 460\" "
      "font-family=\"sans-serif\" font-size=\"12\">\n"
      "<rect width=\"720\" height=\"460\" fill=\"#fff\"/>\n";
  out += Text("<text x=\"60\" y=\"24\" font-size=\"14\">%s</text>\n", Escaped(title).c_str());
  out += Axes();

  const std::string dashes = "stroke=\"#000\" stroke-dasharray=\"5 4\"";
  out += "<polyline fill=\"none\" " + dashes + " points=\"";
  for (int i = 1; i <= 100; ++i)
    out += Text("%.1f,%.1f ", Frame::X(i / 100.0), Frame::Y(bound(i / 100.0)));
  out += "\"/>\n" + Legend(0, "bound", dashes);

  std::vector<std::string> names;
  for (const SimRow& row : rows)
    if (std::find(names.begin(), names.end(), row.policy) == names.end())
      names.push_back(row.policy);
  for (size_t i = 0; i < names.size(); ++i) {
    std::vector<SimRow> points;
    for (const SimRow& row : rows)
      if (row.policy == names[i]) points.push_back(row);
    std::sort(points.begin(), points.end(),
              [](const SimRow& a, const SimRow& b) { return a.memory < b.memory; });
    std::string const colour = kColours[i % std::size(kColours)];
    std::string const stroke = "stroke=\"" + colour + "\" stroke-width=\"2\"";
    out += "<polyline fill=\"none\" " + stroke + " points=\"";
    for (const SimRow& point : points)
      out += Text("%.1f,%.1f ", Frame::X(point.memory), Frame::Y(point.hit_ratio));
    out += "\"/>\n";
    for (const SimRow& point : points)
      out += Text("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n", Frame::X(point.memory),
                  Frame::Y(point.hit_ratio), colour.c_str());
    out += Legend(i + 1, names[i], stroke);
  }
  return out + "</svg>\n";
}

}  // namespace stokefs::tools
