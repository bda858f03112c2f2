#include "participants/postgres/values.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <memory>

#include <fmt/format.h>

namespace indoubt::pg {
namespace {

// From pg_type.dat; these never change.
constexpr Oid kBool = 16, kBytea = 17, kInt8 = 20, kInt2 = 21, kInt4 = 23;
constexpr Oid kFloat4 = 700, kFloat8 = 701;

std::string TextOf(double number) {
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number > 0 ? "Infinity" : "-Infinity";
  return fmt::format("{}", number);
}

std::string BytesOf(const char* text) {
  size_t length = 0;
  const std::unique_ptr<unsigned char, void (*)(void*)> bytes(
      PQunescapeBytea(reinterpret_cast<const unsigned char*>(text), &length), PQfreemem);
  return bytes ? std::string(reinterpret_cast<const char*>(bytes.get()), length) : "";
}

Value ReadField(const PGresult* result, int row, int column) {
  if (PQgetisnull(result, row, column)) return Value{};
  const char* text = PQgetvalue(result, row, column);
  const size_t length = static_cast<size_t>(PQgetlength(result, row, column));
  switch (PQftype(result, column)) {
    case kBool:
      return Value{text[0] == 't'};
    case kInt2:
    case kInt4:
    case kInt8: {
      int64_t number = 0;
      std::from_chars(text, text + length, number);
      return Value{number};
    }
    case kFloat4:
    case kFloat8:
      return Value{std::strtod(text, nullptr)};
    case kBytea:
      return Value{Blob{BytesOf(text)}};
    default:
      return Value{std::string(text, length)};
  }
}

}  // namespace

WireParameters::WireParameters(const std::vector<Value>& values) {
  texts_.reserve(values.size());  // pointers into it stay valid
  for (const Value& value : values) {
    const bool is_null = std::holds_alternative<std::monostate>(value.held);
    const bool is_blob = std::holds_alternative<Blob>(value.held);
    std::string& text = texts_.emplace_back();
    if (const auto* flag = std::get_if<bool>(&value.held)) text = *flag ? "true" : "false";
    if (const auto* number = std::get_if<int64_t>(&value.held)) text = std::to_string(*number);
    if (const auto* number = std::get_if<double>(&value.held)) text = TextOf(*number);
    if (const auto* string = std::get_if<std::string>(&value.held)) text = *string;
    if (const auto* blob = std::get_if<Blob>(&value.held)) text = blob->bytes;
    pointers_.push_back(is_null ? nullptr : text.c_str());
    types_.push_back(is_blob ? kBytea : 0);
    lengths_.push_back(static_cast<int>(text.size()));
    formats_.push_back(is_blob ? 1 : 0);
  }
}

StatementResult ReadResult(const PGresult* result) {
  StatementResult read;
  // PQcmdTuples takes no const, and changes nothing.
  const std::string_view count = PQcmdTuples(const_cast<PGresult*>(result));
  int64_t rows = 0;
  if (!count.empty() &&
      std::from_chars(count.data(), count.data() + count.size(), rows).ec == std::errc()) {
    read.rows = rows;
  }
  const ExecStatusType status = PQresultStatus(result);
  if (status != PGRES_TUPLES_OK && status != PGRES_SINGLE_TUPLE) return read;
  const int columns = PQnfields(result);
  read.values.reserve(static_cast<size_t>(PQntuples(result)));
  for (int row = 0; row < PQntuples(result); ++row) {
    std::vector<Value> fields;
    fields.reserve(static_cast<size_t>(columns));
    for (int column = 0; column < columns; ++column) {
      fields.push_back(ReadField(result, row, column));
    }
    read.values.push_back(Value{std::move(fields)});
  }
  return read;
}

}  // namespace indoubt::pg
