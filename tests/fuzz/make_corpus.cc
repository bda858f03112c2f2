// make_corpus FOLDER: what the fuzzers start from. A real log is opened, written to and
// opened again on the disk; its segments and its records become seeds, as do the streams
// captured from PostgreSQL in tests/cdc/streams.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <initializer_list>
#include <sstream>

#include <fmt/format.h>

#include "base/check.h"
#include "recovery/file_log.h"
#include "recovery/log_records.h"
#include "tests/cdc/captured_stream.h"

namespace {

namespace fs = std::filesystem;
using namespace indoubt;  // NOLINT(google-build-using-namespace): a program's own file

int seeds = 0;

void Save(const fs::path& folder, const std::string& bytes) {
  fs::create_directories(folder);
  std::ofstream(folder / fmt::format("seed-{:03}", seeds++), std::ios::binary) << bytes;
}

void Commit(DecisionLog& log, uint64_t number, bool ends) {
  const Gid gid{"fuzz", log.id(), log.incarnation(), number};
  std::promise<DecisionOutcome> stands;
  log.Decide(gid, DecisionOutcome::kCommitted,
             {{"accounts", fmt::format("{}", 7000 + number)}, {"ledger", ""}},
             [&](DecisionOutcome outcome, const Status&) { stands.set_value(outcome); });
  INDOUBT_CHECK(stands.get_future().get() == DecisionOutcome::kCommitted, "a log that works");
  if (ends) log.End(gid);
}

void Await(const std::function<void(LogCallback)>& call) {
  std::promise<Status> done;
  call([&](Status status) { done.set_value(std::move(status)); });
  const Status status = done.get_future().get();
  INDOUBT_CHECK(status.ok(), status.ToString());
}

/// The newest segment without the zeros at its end, whole and with one flipped bit.
void SaveLog(const fs::path& log_folder, const fs::path& corpus) {
  fs::path newest;
  for (const auto& entry : fs::directory_iterator(log_folder)) {
    const bool segment = entry.path().filename().string().starts_with("segment-");
    if (segment) newest = std::max(newest, entry.path());
  }
  std::ostringstream text;
  text << std::ifstream(newest, std::ios::binary).rdbuf();
  std::string bytes = text.str();
  bytes.resize(bytes.find_last_not_of('\0') + 1);
  Save(corpus / "log_reader", bytes);
  bytes[bytes.size() - 50] = static_cast<char>(bytes[bytes.size() - 50] ^ 1);
  Save(corpus / "log_reader", bytes);
}

/// One of each kind, in the form that fuzz_log_records.cc takes; without damage, and with.
void MakeRecords(const fs::path& corpus) {
  const Gid gid{"fuzz", *LogId::Parse("k3j5x2a7qz"), 3, 1025};
  std::string records;
  size_t count = 0;
  for (const LogRecord& record : std::initializer_list<LogRecord>{
           OpenedRecord{3, "fuzz", "2026-01-01T00:00:00.000Z"},
           AcceptedRecord{"its first decision", "2026-01-01T00:00:00.000Z"},
           EndedRecord{{"fuzz", gid.log, 2, 1024}, "\x07", 1767225600},
           Decision{gid, {{"accounts", "7042"}, {"ledger", ""}}}, EndRecord{gid},
           HeuristicRecord{gid, "ledger", DecisionOutcome::kCommitted, "rolled back", "now"},
           ForgetRecord{gid}}) {
    const std::string body = EncodeLogRecord(record);
    const size_t ends_group = ++count % 3 == 0 ? 0x80 : 0;
    records.push_back(static_cast<char>(body.size() & 0xff));
    records.push_back(static_cast<char>(ends_group | (body.size() >> 8 & 0x7f)));
    records += body;
  }
  Save(corpus / "log_records", std::string(5, '\0') + records);
  Save(corpus / "log_records", std::string("\x80\x10\0\0\x01", 5) + records);
}

void MakeLogs(const fs::path& corpus) {
  const fs::path folder = corpus / "a-log";
  for (int start = 0; start < 3; ++start) {
    FileLogOptions options;
    options.node = "fuzz";
    options.segment_bytes = 64 << 10;
    auto log = OpenFileLog(PosixFileSystem(), folder.string(), options);
    INDOUBT_CHECK(log.has_value(), log.status().ToString());
    for (uint64_t number = 1; number <= 5; ++number) Commit(**log, number, number % 2 == 0);
    const Gid gid{"fuzz", (*log)->id(), (*log)->incarnation(), 1};
    Await([&](LogCallback done) {
      (*log)->RecordHeuristic({gid, "ledger", DecisionOutcome::kCommitted,
                               "rolled back by somebody else", "2026-01-01T00:00:00.000Z"},
                              std::move(done));
    });
    if (start > 0) {
      Await([&](LogCallback done) { (*log)->Forget(gid, {}, std::move(done)); });
    }
    Await([&](LogCallback done) { (*log)->FlushEnds(std::move(done)); });
    SaveLog(folder, corpus);
  }
  fs::remove_all(folder);
}

/// In the form that fuzz_pgoutput.cc takes: each stream as it was, and with each insert sent
/// 4096 times, so that its transaction comes in parts.
void MakeStreams(const fs::path& corpus) {
  const auto files = CapturedStreams(INDOUBT_STREAMS_FOLDER);
  INDOUBT_CHECK(!files.empty(), "there are captured streams");
  for (const fs::path& file : files) {
    const auto stream = ReadCapturedStream(file);
    INDOUBT_CHECK(stream.has_value(), stream.status().ToString());
    std::string once, often;
    for (const std::string& message : stream->messages) {
      const char low = static_cast<char>(message.size() & 0xff);
      const size_t high = message.size() >> 8 & 0x3f;
      const size_t repeat = message[0] == 'I' ? 0xc0 : 0;
      once += {low, static_cast<char>(high)};
      often += {low, static_cast<char>(repeat | high)};
      once += message;
      often += message;
    }
    Save(corpus / "pgoutput", once);
    Save(corpus / "pgoutput", often);
  }
}

void MakeTexts(const fs::path& corpus) {
  for (const char* text :
       {"shop-1.k3j5x2a7qz.2.1f4", "idt:shop-1.k3j5x2a7qz.2.1f4:ledger", "k3j5x2a7qz",
        "n.aaaaaaaaaa.fffff.fffffffffff", "idt:a.b.c.d:e", "1.5s", "250us", "87600h"}) {
    Save(corpus / "gid", text);
  }
  Save(corpus / "config",
       "[coordinator]\nnode = \"shop-1\"\nlisten = \"127.0.0.1:7440\"\n"
       "default_timeout = \"5s\"\noutcome_retention = \"1h\"\n"
       "[log]\nkind = \"file\"\npath = \"decisions\"\n"
       "[participants.accounts]\nkind = \"postgres\"\ndsn = \"host=/run/pg dbname=bank\"\n"
       "[participants.stock]\nkind = \"redis\"\nuri = \"redis://127.0.0.1:6379/0\"\n"
       "durability = \"relaxed\"\n"
       "[participants.ledger]\nkind = \"sqlite\"\npath = \"ledger.db\"\n"
       "tables = [\"entries\"]\n"
       "[cdc]\nsource = \"accounts\"\ntables = [\"orders\"]\nslot = \"indoubt\"\n"
       "log = { kind = \"sqlite\", path = \"events.db\" }\non_slot_loss = \"stop\"\n"
       "[views.cache]\nkind = \"redis\"\nsink = \"stock\"\n");
  Save(corpus / "config",
       "[coordinator]\nnode = 'n'\n[participants.p]\nkind = 'redis'\n"
       "uri_env = 'NO_SUCH_VARIABLE'\n");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_corpus FOLDER\n");
    return 2;
  }
  fs::remove_all(argv[1]);
  fs::create_directories(argv[1]);
  MakeLogs(argv[1]);
  MakeRecords(argv[1]);
  MakeStreams(argv[1]);
  MakeTexts(argv[1]);
  std::printf("%d seeds\n", seeds);
  return 0;
}
