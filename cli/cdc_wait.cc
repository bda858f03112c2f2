// indoubt cdc wait: until a view shows what was committed up to an LSN.
#include "cdc/view_waiter.h"
#include "cli/cdc_verbs.h"
#include "cli/output.h"

namespace indoubt::cli {
namespace {

Status WaitUntil(const ViewOptions& view, Lsn token, TimePoint deadline) {
  const auto waiter = ViewWaiter::Connect(view);
  return waiter ? (*waiter)->WaitFor(token, deadline) : waiter.error();
}

}  // namespace

int WaitForCdcView(const CdcWaitArguments& arguments) {
  const auto token = Lsn::Parse(arguments.lsn);
  if (!token) return Fail(token.error(), arguments.json);
  auto loaded = LoadCdcConfig(arguments.config);
  if (!loaded) return Fail(loaded.error(), arguments.json);
  LimitSinkPatience(loaded->options, arguments.timeout);
  const auto view = FindView(loaded->options, arguments.view);
  if (!view) return Fail(view.error(), arguments.json);
  const Status waited = WaitUntil(*view, *token, SystemClock().Now() + arguments.timeout);
  if (!waited.ok()) return FailCdc(waited.WithContext("view " + view->name), arguments.json);
  if (arguments.json) PrintJson({{"view", view->name}, {"reached", token->ToString()}});
  return kDone;
}

}  // namespace indoubt::cli
