// Which flows end with endpoints that have left, and what an address waits for where that cannot be done.
import assert from "node:assert/strict";
import { test } from "node:test";
import { portName } from "../../../../src/datapath/state/names.ts";
import type { Flow } from "../../../../src/kernel/kernel.ts";
import { emptySnapshot, type Endpoint, type Network } from "../../../../src/model/resource.ts";
import type { Ns } from "../../../../src/datapath/kinds/kind.ts";
import { endFlowsOf, portsWithAddresses } from "../../../../src/agent/endpoint/linkRemovals.ts";
import { type Entry, memoryJournal } from "../../../../src/agent/journal/journal.ts";

const endpoint = (owner: string, network: string, ...addresses: readonly string[]) =>
  ({
    kind: "endpoint",
    name: `${owner}.eth0`,
    uid: owner,
    revision: 1,
    spec: { network, owner, addresses },
  }) as unknown as Endpoint;
const flow = (source: string, destination: string): Flow => ({ source, destination, protocol: 6, side: "in" });

/** A kernel that notes what it ends, of these flows. */
function kernelWith(flows: readonly Flow[]) {
  const ended: string[] = [];
  const asked: string[] = [];
  const says = { error: undefined as Error | undefined };
  const cutFlows = (ns: string, isAllowed: (one: Flow) => boolean) => {
    asked.push(ns);
    if (says.error !== undefined) throw says.error;
    for (const one of flows) if (!isAllowed(one)) ended.push(`${ns} ${one.source} ${one.destination}`);
    return 0;
  };
  return { kernel: { cutFlows }, ended, asked, says };
}
const FLOWS = [flow("a1", "x"), flow("x", "a2"), flow("b1", "x"), flow("x", "y")];

test("flows from and to all addresses of an endpoint end, in its VRF, which is read once", () => {
  const { kernel, ended, asked } = kernelWith(FLOWS);
  const all = [
    endpoint("a", "blue", "a1", "a2"),
    endpoint("b", "blue2", "b1"),
    endpoint("c", "red", "y"),
    endpoint("d", "gone", "x"),
  ];
  const places: Readonly<Record<string, Ns>> = { blue: "vrf:v", blue2: "vrf:v", red: "host" };
  endFlowsOf(kernel, all, (network) => places[network]);
  assert.deepEqual(asked, ["vrf:v", "host"]);
  assert.deepEqual(ended, ["vrf:v a1 x", "vrf:v x a2", "vrf:v b1 x", "host x y"]);
  endFlowsOf(kernel, [], () => assert.fail("nobody is asked about"));
  assert.equal(asked.length, 2);
});

test("an address is kept while its port is there, and while flows of what has left cannot be ended", () => {
  const network = { kind: "network", name: "blue", spec: { vrf: "v" } } as unknown as Network;
  const snapshot = { ...emptySnapshot("c"), networks: [network] };
  const entry = (owner: string, state: Entry["state"]): Entry => {
    return { endpoint: endpoint(owner, "blue", `${owner}1`), netnsId: "1", bootId: "b", state };
  };
  const entries = [entry("a", "detaching"), entry("b", "detaching"), entry("c", "attached"), entry("d", "detaching")];
  const journal = memoryJournal(new Map(entries.map((one) => [one.endpoint.name, one])));
  const { kernel, ended, says, asked } = kernelWith([...FLOWS, flow("c1", "x"), flow("d1", "x")]);
  const logged: string[] = [];
  const log = (message: string) => void logged.push(message);
  const there = new Set(["b.eth0", "c.eth0"].map((name) => portName(name)));
  const kept = (inFlight: readonly string[] = ["d.eth0"]) =>
    portsWithAddresses({ kernel, journal, log }, snapshot, there, new Set(inFlight));
  assert.deepEqual(kept(), there);
  assert.deepEqual(ended, ["vrf:v a1 x"], "b is there, c is attached, d is on its way");
  says.error = new Error("EINTR");
  assert.deepEqual(kept(), new Set([...there, portName("a.eth0")]));
  assert.deepEqual(kept([]), new Set([...there, portName("a.eth0"), portName("d.eth0")]));
  assert.equal(logged.length, 2);
  journal.remove("a.eth0", 1);
  const before = asked.length;
  assert.deepEqual(kept(), there);
  assert.equal(asked.length, before, "nobody has left");
});
