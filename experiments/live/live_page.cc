#include "experiments/live/live_page.h"

#include <fmt/format.h>

#include "experiments/report/page_bundle.h"

namespace indoubt {

std::string LivePage() {
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
      "<link rel=\"icon\" href=\"data:,\"><title>indoubt: live</title>"
      "<style>{}{}</style></head>\n"
      "<body><main id=\"live\"><noscript><p>This page shows a run while it goes on, which "
      "needs "
      "JavaScript. The same figures are on the terminal of indoubt run.</p></noscript></main>"
      "<script>{}</script></body></html>\n",
      PageStyle(), LiveStyle(), LiveScript());
}

std::string LivePolicy() {
  return fmt::format(
      "default-src 'none'; style-src 'unsafe-inline'; img-src data:; connect-src 'self'; "
      "script-src 'sha256-{}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
      LiveScriptHash());
}

}  // namespace indoubt
