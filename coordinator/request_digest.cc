#include "coordinator/request_digest.h"

#include <bit>
#include <string_view>
#include <variant>

#include "base/crc32c.h"

namespace indoubt {
namespace {

class Digester {
 public:
  uint32_t digest() const { return digest_; }

  void Number(uint64_t number) {
    char bytes[8];
    for (char& byte : bytes) {
      byte = static_cast<char>(number);
      number >>= 8;
    }
    digest_ = Crc32c({bytes, sizeof bytes}, digest_);
  }
  void Text(std::string_view text) {
    Number(text.size());
    digest_ = Crc32c(text, digest_);
  }
  void One(const Value& value) {
    std::visit([this](const auto& held) { Held(held); }, value.held);
  }

 private:
  // Each begins with a number for its type, which is for good.
  void Held(std::monostate /*null*/) { Number(0); }
  void Held(bool truth) {
    Number(1);
    Number(truth ? 1 : 0);
  }
  void Held(int64_t number) {
    Number(2);
    Number(static_cast<uint64_t>(number));
  }
  void Held(double number) {
    Number(3);
    Number(std::bit_cast<uint64_t>(number));
  }
  void Held(const std::string& text) {
    Number(4);
    Text(text);
  }
  void Held(const Blob& blob) {
    Number(5);
    Text(blob.bytes);
  }
  void Held(const std::vector<Value>& list) {
    Number(6);
    Number(list.size());
    for (const Value& value : list) One(value);
  }

  uint32_t digest_ = 0;
};

}  // namespace

uint32_t RequestDigest(const std::vector<AddressedStatement>& statements) {
  Digester digester;
  for (const AddressedStatement& addressed : statements) {
    digester.Text(addressed.participant);
    digester.Text(addressed.statement.text);
    digester.Number(addressed.statement.params.size());
    for (const Value& value : addressed.statement.params) digester.One(value);
    digester.Number(addressed.statement.expect_rows.has_value() ? 1 : 0);
    digester.Number(static_cast<uint64_t>(addressed.statement.expect_rows.value_or(0)));
  }
  return digester.digest() == 0 ? 1 : digester.digest();
}

}  // namespace indoubt
