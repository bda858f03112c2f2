#include "recovery/log_folder.h"

#include <algorithm>
#include <thread>

#include <fmt/format.h>

#include "base/failpoint.h"
#include "recovery/log_reader.h"

namespace indoubt {

using log_format::SegmentHeader;

namespace {

// A command that opens the log for one transaction should not write 16 MiB of
// zeros first: segments double from here to the size that is configured.
constexpr uint64_t kFirstSegmentBytes = 256 << 10;
constexpr uint32_t kMaxIncarnation = 0xfffff;

Status CheckOptions(const FileLogOptions& options) {
  if (options.segment_bytes < log_format::kMinSegmentBytes ||
      options.segment_bytes > (1u << 30)) {
    return Status(
        StatusCode::kInvalidArgument,
        fmt::format("segment_bytes {} must be from 4 KiB to 1 GiB", options.segment_bytes));
  }
  if (!IsValidName(options.node)) {
    return Status(StatusCode::kInvalidArgument, "node must be [A-Za-z0-9_-]{1,32}");
  }
  return Status::Ok();
}

Result<std::unique_ptr<FileLock>> WaitForLock(FileSystem& files, const std::string& folder,
                                              Duration timeout) {
  const std::string path = folder + "/" + std::string(log_format::kLockName);
  const TimePoint deadline = SystemClock().Now() + timeout;
  for (;;) {
    auto lock = files.Lock(path);
    if (lock || lock.error().code() != StatusCode::kLocked) return lock;
    if (SystemClock().Now() >= deadline) return lock;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

std::string ParentOf(const std::string& path) {
  const size_t last = path.find_last_not_of('/');
  const size_t slash = path.find_last_of('/', last);
  if (last == std::string::npos || slash == 0) return "/";
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

// A segment's own header, and the one that follows it.
struct ReadHeaders {
  SegmentHeader own, next;
};

// Reads segment `number` into `state`.
Result<ReadHeaders> ReadSegment(FileSystem& files, const std::string& folder, uint64_t number,
                                const Clock& clock, LogState& state) {
  const std::string path = folder + "/" + log_format::SegmentName(number);
  INDOUBT_ASSIGN_OR_RETURN(const auto file, files.Open(path, OpenMode::kRead));
  INDOUBT_ASSIGN_OR_RETURN(SegmentReader reader, SegmentReader::Open(*file, number));
  for (;;) {
    INDOUBT_ASSIGN_OR_RETURN(auto records, reader.Next());
    if (!records) break;
    for (const log_format::RawRecord& raw : *records) {
      auto record = DecodeLogRecord(raw.body);
      if (!record) {
        return record.error().WithContext(fmt::format("{}: offset {}", path, raw.offset));
      }
      state.Apply(std::move(*record), clock.Now());
    }
  }
  ReadHeaders headers{reader.header(), {}};
  headers.next.number = number + 1;
  headers.next.log = headers.own.log;
  headers.next.first_sequence = reader.last_sequence() + 1;
  headers.next.predecessor = number;
  headers.next.predecessor_end = reader.end();
  headers.next.predecessor_last_sequence = reader.last_sequence();
  return headers;
}

// A segment that never got its name holds nothing that anybody was told of.
Status RemoveUnfinished(FileSystem& files, const std::string& folder) {
  const Status removed = files.Remove(folder + "/" + std::string(log_format::kUnfinishedName));
  return removed.code() == StatusCode::kNotFound ? Status::Ok() : removed;
}

Status RequireLog(FileSystem& files, const std::string& folder) {
  const auto numbers = ListSegments(files, folder);
  if (numbers && !numbers->empty()) return Status::Ok();
  if (!numbers && numbers.error().code() != StatusCode::kNotFound) return numbers.error();
  return Status(StatusCode::kNotFound,
                fmt::format("{}: there is no decision log here; if there was one, bring it "
                            "back or correct the path; if not, the first transaction makes it",
                            folder));
}

// Two processes that wrote one log, where the lock does not hold (some network file
// systems): the predecessor goes on behind the end that the newest segment knows. What
// stands there may have been acknowledged.
Status RequireItsEnd(File& file, uint64_t number, const SegmentHeader& newest) {
  auto reader = SegmentReader::Open(file, number);
  for (bool more = reader.has_value(); more;) {
    const auto records = reader->Next();
    if (!records && records.error().code() != StatusCode::kCorrupt) return records.error();
    more = records && *records;
  }
  if (!reader || reader->end() <= newest.predecessor_end) return Status::Ok();
  return Status(
      StatusCode::kCorrupt,
      fmt::format("{}: goes on at offset {}, where its successor {} says that it "
                  "ended: two processes wrote this log; keep both files, nothing was "
                  "presumed",
                  file.path(), newest.predecessor_end, log_format::SegmentName(newest.number)));
}

// Leftovers must be of the same log as the newest segment, and older. A log that was
// brought back into a folder where another had begun: whichever has the higher number
// would win, and the other be removed.
Status CheckLeftovers(FileSystem& files, const std::string& folder,
                      const std::vector<uint64_t>& numbers, const SegmentHeader& newest) {
  for (const uint64_t number : numbers) {
    if (number == newest.number) continue;
    const std::string path = folder + "/" + log_format::SegmentName(number);
    INDOUBT_ASSIGN_OR_RETURN(const auto file, files.Open(path, OpenMode::kRead));
    const auto header = ReadSegmentHeader(*file, number);
    // A damaged header of an older segment does not matter: it is superseded.
    if (!header && header.error().code() == StatusCode::kCorrupt) continue;
    if (!header) return header.error();
    if (header->log != newest.log) {
      return Status(StatusCode::kCorrupt,
                    fmt::format("{}: is of the log {}, and the newest segment beside it of {}; "
                                "move the segments of one of the two logs elsewhere",
                                path, header->log.text(), newest.log.text()));
    }
    if (number == newest.predecessor) {
      INDOUBT_RETURN_IF_ERROR(RequireItsEnd(*file, number, newest));
    }
  }
  return Status::Ok();
}

}  // namespace

Result<OpenedFolder> OpenLogFolder(FileSystem& files, const std::string& path,
                                   const FileLogOptions& options) {
  INDOUBT_RETURN_IF_ERROR(CheckOptions(options));
  if (options.must_exist) INDOUBT_RETURN_IF_ERROR(RequireLog(files, path));
  INDOUBT_RETURN_IF_ERROR(files.CreateDirectory(path));
  OpenedFolder opened{path, nullptr, LogState(options.outcome_retention, *options.clock),
                      nullptr};
  INDOUBT_ASSIGN_OR_RETURN(opened.lock, WaitForLock(files, path, options.lock_timeout));
  INDOUBT_RETURN_IF_ERROR(RemoveUnfinished(files, path));
  INDOUBT_ASSIGN_OR_RETURN(const auto numbers, ListSegments(files, path));

  SegmentHeader header;
  if (numbers.empty()) {
    INDOUBT_RETURN_IF_ERROR(files.SyncDirectory(ParentOf(path)));
    header.number = 1;
    header.log = options.new_id.value_or(LogId::Random());
    header.first_sequence = 1;
  } else {
    // The newest segment holds all that its predecessors held and still matters:
    // it was synced before it got its name, and they go only after that.
    INDOUBT_ASSIGN_OR_RETURN(
        const ReadHeaders headers,
        ReadSegment(files, path, numbers.back(), *options.clock, opened.state));
    INDOUBT_RETURN_IF_ERROR(CheckLeftovers(files, path, numbers, headers.own));
    INDOUBT_RETURN_IF_ERROR(RequireNode(path, opened.state.node(), options.node));
    header = headers.next;
  }
  if (opened.state.incarnation() >= kMaxIncarnation) {
    return Status(StatusCode::kRefused,
                  fmt::format("{} has been opened {} times, as often as a gid can tell: when "
                              "nothing is in doubt, start a new log",
                              path, kMaxIncarnation));
  }
  header.incarnation = opened.state.incarnation() + 1;
  header.size = std::min(options.segment_bytes, kFirstSegmentBytes);
  // What was read may live in the page cache only, after a sync that failed:
  // syncing the same file again would prove nothing. The fresh one proves it.
  const auto carried = CarriedRecords(opened.state, header.incarnation, options);
  INDOUBT_ASSIGN_OR_RETURN(opened.writer, SegmentWriter::Create(files, path, header, carried));
  INDOUBT_RETURN_IF_ERROR(HitFailPoint("segment_opened"));
  INDOUBT_RETURN_IF_ERROR(HitFailPoint("incarnation_durable"));
  INDOUBT_RETURN_IF_ERROR(DropSegments(files, path, numbers));
  return opened;
}

// Its prepared branches bear the old name: under another one nobody would look for them.
Status RequireNode(const std::string& folder, const std::string& opened_by,
                   const std::string& node) {
  if (opened_by.empty() || opened_by == node) return Status::Ok();
  return Status(
      StatusCode::kInvalidArgument,
      fmt::format("{}: this decision log is of node \"{}\", and coordinator.node is \"{}\": "
                  "branches that \"{}\" has prepared would be left for ever; name the node "
                  "\"{}\" again, or let `indoubt recover` end everything under that name and "
                  "give \"{}\" a log.path of its own",
                  folder, opened_by, node, opened_by, opened_by, node));
}

Result<std::vector<uint64_t>> ListSegments(FileSystem& files, const std::string& folder) {
  INDOUBT_ASSIGN_OR_RETURN(const auto names, files.List(folder));
  std::vector<uint64_t> numbers;
  for (const std::string& name : names) {
    if (const auto number = log_format::ParseSegmentName(name)) numbers.push_back(*number);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

std::vector<std::string> CarriedRecords(LogState& state, uint32_t incarnation,
                                        const FileLogOptions& options) {
  // What is carried says which outcomes are forgotten from now on.
  std::vector<std::string> bodies = state.Carry(options.clock->Now());
  bodies.insert(bodies.begin(),
                EncodeLogRecord(OpenedRecord{incarnation, options.node, WallClockNow(),
                                             state.forgotten()}));
  return bodies;
}

SegmentHeader Successor(const SegmentWriter& writer) {
  SegmentHeader header = writer.header();
  header.predecessor = header.number++;
  header.predecessor_end = writer.end();
  header.predecessor_last_sequence = writer.next_sequence() - 1;
  header.first_sequence = writer.next_sequence();
  return header;
}

Status DropSegments(FileSystem& files, const std::string& folder,
                    const std::vector<uint64_t>& numbers) {
  for (const uint64_t number : numbers) {
    INDOUBT_RETURN_IF_ERROR(files.Remove(folder + "/" + log_format::SegmentName(number)));
    INDOUBT_RETURN_IF_ERROR(HitFailPoint("segment_dropped"));
  }
  return Status::Ok();
}

}  // namespace indoubt
