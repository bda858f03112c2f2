"""The final comparison made again, from what the stores held at the end."""
import json

from verifier.records import read_json, read_lines


def judged_again(state, operations, shop):
    """What the recorded last state contradicts: the keys of final.inconsistent, lost and back."""
    held = {}
    for line in state:
        held.setdefault(line["key"], {})[line["store"]] = line["value"]
    orders = {key: stores for key, stores in held.items() if key.startswith("order:")}
    apart = set()
    taken, debited = {}, {}
    for key, stores in orders.items():
        source, ledger = stores.get("accounts"), stores.get("ledger")
        if source is not None:
            taken[source["item"]] = taken.get(source["item"], 0) + source["quantity"]
            debited[source["account"]] = debited.get(source["account"], 0) + source["amount"]
        same = (source is not None and ledger is not None
                and stores.get("stock") == str(source["quantity"])
                and all(ledger[name] == source[name] for name in ("account", "item", "amount")))
        if not same:
            apart.add(key)

    def value(key, store, initial):
        return held.get(key, {}).get(store, initial)

    for item in range(1, shop["items"] + 1):
        expected = str(shop["initial_stock"] - taken.get(item, 0))
        if value(f"stock:{item}", "stock", str(shop["initial_stock"])) != expected:
            apart.add(f"stock:{item}")
        price = value(f"price:{item}", "accounts", shop["initial_price"])
        cached = value(f"price:{item}", "stock", str(shop["initial_price"]))
        if price is None or str(price) != cached:
            apart.add(f"price:{item}")
    for account in range(1, shop["accounts"] + 1):
        expected = shop["initial_balance"] - debited.get(account, 0)
        if value(f"account:{account}", "accounts", shop["initial_balance"]) != expected:
            apart.add(f"account:{account}")
    lost, back = set(), set()
    for operation in operations:
        if operation["order"] is None:
            continue
        key = f"order:{operation['order']}"
        present = sum(value is not None for value in orders.get(key, {}).values())
        if operation["outcome"] == "committed" and present < 3:
            lost.add(key)
        if operation["outcome"] in ("rolled_back", "failed") and present > 0:
            back.add(key)
    return {"inconsistent": apart, "lost_acknowledged": lost, "resurrected": back}


def state_differences(run_folder, cell):
    """Where a final comparison is not what the recorded last state says."""
    for entry in cell["reps"]:
        folder = run_folder / entry["dir"]
        rep, state = read_json(folder / "rep.json"), read_lines(folder / "state.ndjson")
        operations = read_lines(folder / "ops.ndjson")
        if not rep or state is None or operations is None or not rep.get("final"):
            continue
        final = rep["final"]
        found = {"inconsistent": {one["key"] for one in final["inconsistent"]},
                 "lost_acknowledged": set(final["lost_acknowledged"]),
                 "resurrected": set(final["resurrected"])}
        for name, expected in judged_again(state, operations, rep["shop"]).items():
            for key in sorted(expected ^ found[name]):
                yield (f"{folder}/rep.json: final.{name} "
                       f"{'lacks' if key in expected else 'has'} {key}; "
                       f"the recorded state says otherwise")
    for entry in cell["reps"]:
        for line in read_lines(run_folder / entry["dir"] / "reads.ndjson") or []:
            torn = line["first"][0] != line["first"][1] and line["second"] == line["first"]
            if torn != line["fractured"]:
                yield f"{entry['dir']}/reads.ndjson: the collects of {json.dumps(line)} disagree"
