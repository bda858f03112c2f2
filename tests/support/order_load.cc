#include "tests/support/order_load.h"

#include <condition_variable>
#include <mutex>

#include <fmt/format.h>

#include "base/check.h"

namespace indoubt::testing {
namespace {

constexpr auto kLimit = std::chrono::seconds(60);

}  // namespace

TransactionRequest IndependentOrder(int64_t order) {
  TransactionRequest request;
  const auto add = [&](const char* participant, std::string text) {
    request.statements.push_back({participant, {std::move(text), {}, {}}});
  };
  add("accounts", fmt::format("INSERT INTO orders VALUES ({}, 7)", order));
  add("stock", fmt::format("SET reserved:{} 1", order));
  add("ledger", fmt::format("INSERT INTO entries VALUES ({}, 7, 5)", order));
  request.timeout = std::chrono::seconds(20);
  return request;
}

std::map<int64_t, TransactionOutcome> RunOrders(
    TransactionExecutor& service, int64_t first, int at_once,
    const std::function<bool(int64_t)>& more,
    const std::function<TransactionRequest(int64_t)>& request) {
  std::mutex mutex;  // guards all below
  std::condition_variable changed;
  std::map<int64_t, TransactionOutcome> answers;
  int under_way = 0;
  const auto wait_until_under_way_is_below = [&](int limit) {
    std::unique_lock lock(mutex);
    const bool in_time = changed.wait_for(lock, kLimit, [&] { return under_way < limit; });
    INDOUBT_CHECK(in_time, "the service does not answer");
  };
  for (int64_t order = first; more(order); ++order) {
    wait_until_under_way_is_below(at_once);
    {
      const std::lock_guard lock(mutex);
      ++under_way;
    }
    service.Execute(request(order), [&, order](TransactionOutcome outcome) {
      const std::lock_guard lock(mutex);
      answers.emplace(order, std::move(outcome));
      --under_way;
      changed.notify_all();
    });
  }
  wait_until_under_way_is_below(1);
  return answers;
}

}  // namespace indoubt::testing
