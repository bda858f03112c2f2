#include "cli/config.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>

#include "base/byte_size.h"
#include "base/duration.h"
#include "base/gid.h"
#include "base/small_file.h"
#include "cdc/slot_name.h"
#include "cdc/table_name.h"
#include "cli/toml_reader.h"
#include "coordinator/executor.h"
#include "participants/postgres/connection_string.h"
#include "participants/redis/redis_uri.h"

namespace indoubt::cli {
namespace {

/// The least outcome_retention: who asks again does so at once, or a moment later.
constexpr Duration kLeastRetention = std::chrono::seconds(1);

std::string Resolve(const std::string& file, const std::string& path) {
  if (path.empty()) return path;
  return (std::filesystem::path(file).parent_path() / path).lexically_normal().string();
}

/// "HOST:PORT" or "unix:PATH"; gRPC takes much more, and some of it for a port of its own
/// choice.
bool IsListenAddress(const std::string& text) {
  if (text.starts_with("unix:")) return text.size() > 5;
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return false;
  int port = -1;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + colon + 1, end, port);
  return error == std::errc() && stop == end && port >= 0 && port <= 65535;
}

/// `key`, or the environment variable that `key`_env names.
std::string SecretString(TomlReader& reader, const std::string& key) {
  const std::string env_key = key + "_env";
  if (reader.Has(key) == reader.Has(env_key)) {
    reader.Wrong(key, fmt::format("give either {} or {}", key, env_key));
    return "";
  }
  if (reader.Has(key)) return reader.String(key, "");
  const std::string variable = reader.String(env_key, "");
  // Somebody may have put the secret itself here.
  const bool is_name = std::all_of(variable.begin(), variable.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_';
  });
  if (!is_name || variable.empty()) {
    reader.Wrong(env_key, fmt::format("must be the name of an environment variable "
                                      "(letters, digits, _); a value goes to {}",
                                      key));
    return "";
  }
  const char* value = std::getenv(variable.c_str());
  if (value == nullptr) {
    reader.Wrong(env_key, fmt::format("the environment variable {} is not set", variable));
    return "";
  }
  return value;
}

/// Under which key SecretString has found it.
std::string SecretKey(const TomlReader& reader, const std::string& key) {
  return reader.Has(key) ? key : key + "_env";
}

PostgresOptions ReadPostgres(TomlReader& reader, const std::string& name) {
  PostgresOptions options;
  options.name = name;
  options.dsn = SecretString(reader, "dsn");
  if (const auto parsed = pg::ConnectionString::Parse(options.dsn); !parsed) {
    reader.Wrong(SecretKey(reader, "dsn"), parsed.error().message());
  }
  options.last_resource = reader.Bool("last_resource", false);
  return options;
}

RedisOptions ReadRedis(TomlReader& reader, const std::string& name) {
  RedisOptions options;
  options.name = name;
  options.uri = SecretString(reader, "uri");
  if (const auto parsed = ParseRedisUri(options.uri); !parsed) {
    const std::string& what = parsed.error().message();
    reader.Wrong(SecretKey(reader, "uri"), what.substr(what.starts_with("uri: ") ? 5 : 0));
  }
  const std::string durability = reader.String("durability", "strict");
  if (durability == "relaxed") {
    options.durability = RedisDurability::kRelaxed;
  } else if (durability != "strict") {
    reader.Wrong("durability", "must be \"strict\" or \"relaxed\"");
  }
  return options;
}

/// SQLite takes a name in any case.
bool IsOurSqliteTable(const std::string& table) {
  constexpr std::string_view kOurs = "indoubt_";
  return table.size() >= kOurs.size() &&
         std::equal(kOurs.begin(), kOurs.end(), table.begin(), [](char ours, char theirs) {
           return ours == std::tolower(static_cast<unsigned char>(theirs));
         });
}

SqliteOptions ReadSqlite(TomlReader& reader, const std::string& name, const std::string& file) {
  SqliteOptions options;
  options.name = name;
  options.path = Resolve(file, reader.RequiredString("path"));
  if (options.path.empty()) reader.Wrong("path", "must name the SQLite file");
  if (options.path.find('\0') != std::string::npos) {
    reader.Wrong("path", "a file's name holds no NUL");
  }
  options.tables = reader.RequiredStrings("tables");
  for (const std::string& table : options.tables) {
    if (!IsOurSqliteTable(table)) continue;
    reader.Wrong("tables", fmt::format("\"{}\" is a name that indoubt keeps for its own tables "
                                       "(indoubt_...); name tables of yours",
                                       table.substr(0, 80)));
  }
  return options;
}

/// Whether both name one file, whatever links lead there; one that is not there yet by its
/// path.
bool IsSameFile(const std::string& one, const std::string& other) {
  std::error_code error;
  if (std::filesystem::equivalent(one, other, error)) return true;
  return std::filesystem::weakly_canonical(one, error) ==
         std::filesystem::weakly_canonical(other, error);
}

/// One writes while the other waits for it: their transactions could not end.
void CheckOwnFile(const SqliteOptions& options, const Config& config, TomlReader& reader) {
  if (options.path.empty()) return;
  for (const ParticipantOptions& participant : config.participants) {
    const auto* other = std::get_if<SqliteOptions>(&participant);
    if (other == nullptr || !IsSameFile(other->path, options.path)) continue;
    reader.Wrong("path",
                 fmt::format("is the file of participants.{} already; put the tables of "
                             "both into one participant, or give each its own file",
                             other->name));
  }
}

/// The one that is marked already, if any.
const PostgresOptions* FindLastResource(const Config& config) {
  for (const ParticipantOptions& participant : config.participants) {
    const auto* postgres = std::get_if<PostgresOptions>(&participant);
    if (postgres != nullptr && postgres->last_resource) return postgres;
  }
  return nullptr;
}

void CheckLastResource(const PostgresOptions& options, const Config& config,
                       TomlReader& reader) {
  if (!options.last_resource) return;
  if (const PostgresOptions* other = FindLastResource(config)) {
    reader.Wrong("last_resource",
                 fmt::format("participants.{} is the last resource already, and there can be "
                             "one only; take the key out of one of the two",
                             other->name));
  }
  if (config.node.size() > kMaxNodeLengthWithHome) {
    reader.Wrong("last_resource",
                 fmt::format("with a last resource, coordinator.node has at most {} "
                             "characters; shorten it or take this key out",
                             kMaxNodeLengthWithHome));
  }
}

Status ReadParticipant(const toml::table& table, const std::string& name, Config& config) {
  TomlReader reader(table, config.file, "participants." + name);
  if (!IsValidName(name)) reader.Wrong("", "a name is 1 to 32 of [A-Za-z0-9_-]");
  const std::string kind = reader.RequiredString("kind");
  if (kind != "postgres" && reader.Bool("last_resource", false)) {
    reader.Wrong("last_resource",
                 "only a participant of kind \"postgres\" can be the last resource");
  }
  if (kind == "postgres") {
    PostgresOptions options = ReadPostgres(reader, name);
    CheckLastResource(options, config, reader);
    config.participants.emplace_back(std::move(options));
  } else if (kind == "redis") {
    config.participants.emplace_back(ReadRedis(reader, name));
  } else if (kind == "sqlite") {
    SqliteOptions options = ReadSqlite(reader, name, config.file);
    CheckOwnFile(options, config, reader);
    config.participants.emplace_back(std::move(options));
  } else {
    reader.Wrong("kind", "must be \"postgres\", \"redis\" or \"sqlite\"");
  }
  return reader.Finish();
}

Status ReadCoordinator(const toml::table* table, Config& config) {
  if (table == nullptr) {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("{}: coordinator: the table [coordinator] with node is missing",
                              config.file));
  }
  TomlReader reader(*table, config.file, "coordinator");
  config.node = reader.RequiredString("node");
  if (!IsValidName(config.node)) reader.Wrong("node", "must be 1 to 32 of [A-Za-z0-9_-]");
  config.listen = reader.String("listen", "");
  if (!config.listen.empty() && !IsListenAddress(config.listen)) {
    reader.Wrong("listen", "must be \"HOST:PORT\" with a port up to 65535, or \"unix:PATH\"");
  }
  if (config.listen.starts_with("unix:")) {
    config.listen = "unix:" + Resolve(config.file, config.listen.substr(5));
  }
  config.default_timeout = reader.DurationOf("default_timeout", config.default_timeout);
  if (config.default_timeout.count() == 0 || !CheckTimeout(config.default_timeout).ok()) {
    reader.Wrong("default_timeout",
                 "must be above 0s and at most " + FormatDuration(kLongestTimeout));
  }
  config.outcome_retention = reader.DurationOf("outcome_retention", config.outcome_retention);
  if (config.outcome_retention < kLeastRetention) {
    reader.Wrong("outcome_retention",
                 fmt::format("must be at least {}: a request id (--id) is remembered for so "
                             "long and protects nothing afterwards",
                             FormatDuration(kLeastRetention)));
  }
  return reader.Finish();
}

Status ReadLog(const toml::table* table, Config& config) {
  config.log_path = Resolve(config.file, "decisions");
  config.log_place = config.file + ": log.path";
  if (table == nullptr) return Status::Ok();
  TomlReader reader(*table, config.file, "log");
  if (reader.String("kind", "file") != "file") {
    reader.Wrong("kind", "this version offers \"file\"");
  }
  const std::string log_path = reader.String("path", "decisions");
  if (log_path.empty()) reader.Wrong("path", "must name the log's folder");
  config.log_path = Resolve(config.file, log_path);
  if (reader.Has("path")) config.log_place = reader.Place("path");
  return reader.Finish();
}

const ParticipantOptions* FindParticipant(const Config& config, const std::string& name) {
  for (const ParticipantOptions& participant : config.participants) {
    if (NameOf(participant) == name) return &participant;
  }
  return nullptr;
}

void ReadRetention(TomlReader& reader, CdcConfig& cdc) {
  if (reader.Node("retention_time") != nullptr) {
    cdc.retention_time = reader.DurationOf("retention_time", Duration::zero());
    if (cdc.retention_time->count() == 0) reader.Wrong("retention_time", "must be above 0s");
  }
  if (reader.Node("retention_size") != nullptr) {
    const auto size = ParseByteSize(reader.String("retention_size", ""));
    if (!size) reader.Wrong("retention_size", size.error().message());
    cdc.retention_size = size.value_or(0);
  }
  cdc.compaction = reader.String("compaction", "none");
  if (cdc.compaction != "none" && cdc.compaction != "key") {
    reader.Wrong("compaction", "must be \"none\" or \"key\"");
  }
}

Status ReadCdc(const toml::table* table, Config& config) {
  if (table == nullptr) return Status::Ok();
  TomlReader reader(*table, config.file, "cdc");
  CdcConfig cdc;
  cdc.source = reader.RequiredString("source");
  const ParticipantOptions* source = FindParticipant(config, cdc.source);
  if (source == nullptr || !std::holds_alternative<PostgresOptions>(*source)) {
    reader.Wrong("source", "must name a participant of kind \"postgres\"");
  }
  cdc.tables = reader.RequiredStrings("tables");
  if (const auto names = BareTableNames(cdc.tables); !names) {
    reader.Wrong("tables", names.error().message());
  }
  cdc.slot = reader.RequiredString("slot");
  if (!IsSlotName(cdc.slot)) reader.Wrong("slot", "a slot's name is 1 to 63 of [a-z0-9_]");
  cdc.metrics = reader.String("metrics", "");
  if (!cdc.metrics.empty() &&
      (cdc.metrics.starts_with("unix:") || !IsListenAddress(cdc.metrics))) {
    reader.Wrong("metrics", "must be \"HOST:PORT\" with a port up to 65535");
  }
  cdc.on_slot_loss = reader.String("on_slot_loss", "stop");
  if (cdc.on_slot_loss != "stop" && cdc.on_slot_loss != "snapshot") {
    reader.Wrong("on_slot_loss", "must be \"stop\" or \"snapshot\"");
  }
  cdc.on_view_lag = reader.String("on_view_lag", "hold");
  if (cdc.on_view_lag != "hold" && cdc.on_view_lag != "stop") {
    reader.Wrong("on_view_lag", "must be \"hold\" or \"stop\"");
  }
  if (const toml::table* log = reader.Table("log"); log != nullptr) {
    TomlReader log_reader(*log, config.file, "cdc.log");
    if (log_reader.RequiredString("kind") != "sqlite") {
      log_reader.Wrong("kind", "this version offers \"sqlite\"");
    }
    const std::string path = log_reader.RequiredString("path");
    if (path.empty()) log_reader.Wrong("path", "must name the event log's file");
    cdc.log_path = Resolve(config.file, path);
    ReadRetention(log_reader, cdc);
    INDOUBT_RETURN_IF_ERROR(log_reader.Finish());
  } else {
    reader.Wrong("log", "is missing; write log = { kind = \"sqlite\", path = \"events.db\" }");
  }
  config.cdc = std::move(cdc);
  return reader.Finish();
}

void CheckColumns(const ViewConfig& view, const std::vector<std::string>& tables,
                  TomlReader& reader) {
  if (!view.columns.empty() && view.kind != "search") {
    reader.Wrong("columns", "only a view of kind \"search\" has columns to index");
  }
  for (const std::string& column : view.columns) {
    const bool known = std::any_of(tables.begin(), tables.end(), [&](const std::string& table) {
      const std::string prefix = BareTableName(table).value_or("") + ".";
      return column.starts_with(prefix) && column.size() > prefix.size();
    });
    if (known) continue;
    reader.Wrong("columns",
                 fmt::format("\"{}\" is no column of a table of [cdc]; write \"TABLE.COLUMN\", "
                             "without the schema",
                             column.substr(0, 80)));
  }
}

/// Whether both participants are one place to a view: one file has one participant (see
/// CheckOwnFile), one database of a Redis may have several, with users of their own.
bool IsSameSink(const Config& config, const std::string& one, const std::string& other) {
  if (one == other) return true;
  const auto address = [&](const std::string& name) -> std::optional<RedisAddress> {
    const ParticipantOptions* participant = FindParticipant(config, name);
    if (participant == nullptr) return std::nullopt;
    const auto* redis = std::get_if<RedisOptions>(participant);
    if (redis == nullptr) return std::nullopt;
    auto parsed = ParseRedisUri(redis->uri);
    if (!parsed) return std::nullopt;  // said where participants are made
    if (parsed->host == "localhost" || parsed->host == "::1") parsed->host = "127.0.0.1";
    return std::move(*parsed);
  };
  const auto a = address(one), b = address(other);
  if (!a || !b || a->database != b->database) return false;
  if (!a->unix_path.empty() || !b->unix_path.empty()) {
    return !a->unix_path.empty() && !b->unix_path.empty() &&
           IsSameFile(a->unix_path, b->unix_path);
  }
  return a->host == b->host && a->port == b->port;
}

Status ReadView(const toml::table& table, const std::string& name, Config& config) {
  TomlReader reader(table, config.file, "views." + name);
  if (!IsValidName(name)) reader.Wrong("", "a name is 1 to 32 of [A-Za-z0-9_-]");
  ViewConfig view;
  view.name = name;
  view.kind = reader.RequiredString("kind");
  view.sink = reader.RequiredString("sink");
  view.derivation = reader.String("derivation", "rows");
  view.schema_rule = reader.String("schema_rule", "backward");
  if (view.schema_rule != "backward" && view.schema_rule != "forward" &&
      view.schema_rule != "full") {
    reader.Wrong("schema_rule", "must be \"backward\", \"forward\" or \"full\"");
  }
  const ParticipantOptions* sink = FindParticipant(config, view.sink);
  const bool fits = sink != nullptr && ((view.kind == "redis" && sink->index() == 1) ||
                                        (view.kind != "redis" && sink->index() == 2));
  if (view.kind != "redis" && view.kind != "sqlite" && view.kind != "search") {
    reader.Wrong("kind", "must be \"redis\", \"sqlite\" or \"search\"");
  } else if (!fits) {
    reader.Wrong("sink", fmt::format("must name a participant of kind \"{}\"",
                                     view.kind == "redis" ? "redis" : "sqlite"));
  }
  if (config.cdc) {
    for (const ViewConfig& other : config.cdc->views) {
      if (other.derivation != "rows" || view.derivation != "rows") continue;
      if (!IsSameSink(config, other.sink, view.sink)) continue;
      reader.Wrong("sink",
                   fmt::format("view {} holds the tables' rows there already, under the "
                               "same names; name a sink of its own",
                               other.name));
    }
  }
  view.columns = reader.Strings("columns");
  if (config.cdc) CheckColumns(view, config.cdc->tables, reader);
  if (!config.cdc) reader.Wrong("", "a view needs the table [cdc]");
  INDOUBT_RETURN_IF_ERROR(reader.Finish());
  config.cdc->views.push_back(std::move(view));
  return Status::Ok();
}

}  // namespace

const std::string& NameOf(const ParticipantOptions& options) {
  return std::visit([](const auto& held) -> const std::string& { return held.name; }, options);
}

Result<Config> ParseConfig(const std::string& text, const std::string& path) {
  INDOUBT_ASSIGN_OR_RETURN(const toml::table table, ParseToml(text, path));
  Config config;
  config.file = path;
  TomlReader reader(table, path, "");
  INDOUBT_RETURN_IF_ERROR(ReadCoordinator(reader.Table("coordinator"), config));
  INDOUBT_RETURN_IF_ERROR(ReadLog(reader.Table("log"), config));
  const toml::table* participants = reader.Table("participants");
  if (participants == nullptr || participants->empty()) {
    reader.Wrong("participants", "no [participants.NAME] is given");
    return reader.Finish();
  }
  for (const auto& [name, node] : *participants) {
    const toml::table* participant = node.as_table();
    if (participant == nullptr) {
      reader.Wrong("participants", "write [participants.NAME] for each");
      continue;
    }
    INDOUBT_RETURN_IF_ERROR(ReadParticipant(*participant, std::string(name.str()), config));
  }
  INDOUBT_RETURN_IF_ERROR(ReadCdc(reader.Table("cdc"), config));
  if (const toml::table* views = reader.Table("views"); views != nullptr) {
    for (const auto& [name, node] : *views) {
      const toml::table* view = node.as_table();
      if (view == nullptr) {
        reader.Wrong("views", "write [views.NAME] for each");
        continue;
      }
      INDOUBT_RETURN_IF_ERROR(ReadView(*view, std::string(name.str()), config));
    }
  }
  INDOUBT_RETURN_IF_ERROR(reader.Finish());
  return config;
}

Result<Config> LoadConfig(const std::string& path) {
  INDOUBT_ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(path));
  return ParseConfig(text, path);
}

}  // namespace indoubt::cli
