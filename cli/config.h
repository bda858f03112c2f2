// The configuration file: TOML, checked key by key. docs/configuration.md has
// every key.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "participants/postgres/postgres_participant.h"
#include "participants/redis/redis_participant.h"
#include "participants/sqlite/sqlite_participant.h"

namespace indoubt::cli {

using ParticipantOptions = std::variant<PostgresOptions, RedisOptions, SqliteOptions>;

/// The participant's name, whatever its kind.
const std::string& NameOf(const ParticipantOptions& options);

struct ViewConfig {
  std::string name;
  std::string kind;                  // "redis", "sqlite" or "search"
  std::string sink;                  // a participant's name
  std::string derivation;            // "rows", or one that the program registered
  std::string schema_rule;           // "backward", "forward" or "full"
  std::vector<std::string> columns;  // "table.column", of a search view; empty: all of text
};

struct CdcConfig {
  std::string source;  // a postgres participant's name
  std::vector<std::string> tables;
  std::string slot;
  std::string on_slot_loss;  // "stop" or "snapshot"
  std::string log_path;
  std::optional<Duration> retention_time;  // none: for ever
  std::optional<uint64_t> retention_size;  // bytes; none: without a limit
  std::string compaction;                  // "none" or "key"
  std::string on_view_lag;                 // "hold" or "stop"
  std::string metrics;  // "HOST:PORT" that `cdc run` serves metrics on; empty: none
  std::vector<ViewConfig> views;
};

struct Config {
  std::string file;  // where it was read from
  std::string node;
  std::string listen;  // empty: not given; a unix socket's path as log_path
  Duration default_timeout = std::chrono::seconds(5);
  Duration outcome_retention = std::chrono::hours(1);
  std::string log_path;   // absolute or relative to the working folder
  std::string log_place;  // where log.path is written, "file:line:column: log.path"
  std::vector<ParticipantOptions> participants;
  std::optional<CdcConfig> cdc;
};

/// Reads and checks `path`. Paths in it are relative to its folder. Every error is
/// kInvalidArgument and reads "file:line:column: key: what is wrong and what to
/// write"; it never shows a value that may hold a secret.
Result<Config> LoadConfig(const std::string& path);

/// The same from text; `path` is for messages and relative paths.
Result<Config> ParseConfig(const std::string& text, const std::string& path);

}  // namespace indoubt::cli
