// A stream of pgoutput messages, until one is refused. The input: messages, each with 2 bytes
// before it: its length (14 bits, low byte first), and on top how often it is sent, 1, 16, 256
// or 4096 times, so that a transaction may become large.
#include <algorithm>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "cdc/source/pgoutput.h"
#include "cdc/view.h"

namespace indoubt {
namespace {

constexpr size_t kMaxMessages = 1 << 13;  // an input's, or it would take too long

/// Holds every transaction that is given against what the decoder promises.
class Receiver {
 public:
  /// False when it is refused.
  bool Take(std::string_view message) {
    const auto given = decoder_.Decode(message, transaction_);
    if (!given) {
      const StatusCode code = given.error().code();
      INDOUBT_CHECK(code == StatusCode::kCorrupt || code == StatusCode::kUnsupported,
                    given.error().ToString());
      return false;
    }
    if (*given) Check(message.size());
    return true;
  }

 private:
  void Check(size_t message_bytes) {
    const events::Transaction& given = transaction_;
    if (given.part() > 0) {
      INDOUBT_CHECK(decoder_.in_transaction(), "a part is not the last");
      INDOUBT_CHECK(given.part() == parts_ + 1, "parts are numbered");
      INDOUBT_CHECK(given.phase() == events::Transaction::COMMITTED,
                    "a prepared transaction comes whole");
      parts_ = given.part();
    } else {
      INDOUBT_CHECK(!decoder_.in_transaction(), "nothing is open behind a transaction");
      INDOUBT_CHECK(given.commit_end_lsn() > 0, "a transaction has an end");
      INDOUBT_CHECK(given.phase() == events::Transaction::COMMITTED || !given.gid().empty(),
                    "a transaction in two phases has a gid");
      parts_ = 0;
    }
    // What is prepared is bounded, too, but by more than an input can bring about.
    if (given.phase() == events::Transaction::COMMITTED) {
      // The bound counts a change as it lies in memory, which is more than it takes here; the
      // last message may go beyond, by several changes of a few bytes each.
      INDOUBT_CHECK(given.ByteSizeLong() <= PgOutputDecoder::kPartBytes + 16 * message_bytes,
                    "a large transaction comes in parts");
      const size_t most = PgOutputDecoder::kPartBytes / sizeof(events::Change) + message_bytes;
      INDOUBT_CHECK(static_cast<size_t>(given.changes_size()) <= most,
                    "a transaction of many changes comes in parts");
    }
    CheckRows();
  }

  /// Every change finds its shape, and its rows fit it.
  void CheckRows() {
    LoggedEvent event;
    event.transaction->Swap(&transaction_);
    event.shapes = &shapes_;
    const Status fits = ForEachRowChange(event, [](const RowChange&) { return Status::Ok(); });
    INDOUBT_CHECK(fits.ok(), fits.ToString());
    transaction_.Swap(&*event.transaction);
    events::Transaction expanded = transaction_;
    INDOUBT_CHECK(ExpandRows(expanded, &shapes_).ok(), "rows that fit can be expanded");
  }

  ShapeTable shapes_;
  PgOutputDecoder decoder_{shapes_};
  events::Transaction transaction_;
  uint32_t parts_ = 0;  // that the open transaction has given
};

}  // namespace
}  // namespace indoubt

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace indoubt;  // NOLINT(google-build-using-namespace): a program's own file
  std::string_view input(reinterpret_cast<const char*>(data), size);
  Receiver receiver;
  size_t messages = 0;
  while (input.size() >= 2) {
    const auto low = static_cast<unsigned char>(input[0]);
    const auto high = static_cast<unsigned char>(input[1]);
    const size_t length = std::min<size_t>((high & 0x3f) << 8 | low, input.size() - 2);
    const std::string_view message = input.substr(2, length);
    input.remove_prefix(2 + length);
    for (size_t times = size_t{1} << (4 * (high >> 6)); times > 0; --times) {
      if (++messages > kMaxMessages || !receiver.Take(message)) return 0;
    }
  }
  return 0;
}
