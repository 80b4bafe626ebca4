// The overlay master's interface: what each request is answered. The removal of real hosts is in control.test.ts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Control } from "../../../../src/control/control.ts";
import { Fault } from "../../../../src/model/fault.ts";
import { openMemoryStore } from "../../../../src/store/memory.ts";
import { parseDcosConfig } from "../../../../src/ancestors/dcos/config.ts";
import { applyOf } from "../../../../src/ancestors/dcos/resources.ts";
import { type Cluster, dcosRoutes, overlayPage } from "../../../../src/ancestors/dcos/routes.ts";
import { STATE_CONFIG } from "./samples.ts";

const clock = { nowMs: () => 0, monotonicMs: () => 0, sleep: () => Promise.resolve() };
const ADMIN = { role: "admin" } as const;

/** Hosts h1 at 10.0.0.1 and h2 at 10.0.0.2, and an imported configuration. */
async function clusterOf(options: { readonly isEmpty?: boolean } = {}): Promise<Control> {
  const control = await Control.open(openMemoryStore(), { clock });
  await control.setToken("join", "join-token");
  for (const n of [1, 2]) {
    await control.join({ host: `h${n}`, underlay: `10.0.0.${n}`, underlayMtu: 1500, hostPrefixes: [] }, "join-token");
  }
  if (options.isEmpty === true) return control;
  const { resources } = applyOf(parseDcosConfig(STATE_CONFIG, "config.yaml"));
  await control.write({ verb: "apply", items: resources });
  return control;
}

/** The cluster, where removing the second host fails like this. */
function withSlip(control: Control, slip: Error): Cluster {
  return {
    snapshot: (viewer) => control.snapshot(viewer),
    status: () => control.status(),
    write: (write) => {
      return write.verb === "delete" && write.name === "h2" ? Promise.reject(slip) : control.write(write);
    },
  };
}

async function namesIn(control: Control): Promise<readonly string[]> {
  return (await control.snapshot(ADMIN)).hosts.map(({ name }) => name).sort();
}

function routeAt(cluster: Cluster, path: string) {
  const route = dcosRoutes(cluster).find((each) => each.path === path);
  assert.ok(route !== undefined, path);
  return route;
}

const DELETE = "/overlay-master/agents/delete";
const remove = (cluster: Cluster, body: string) => routeAt(cluster, DELETE).handle({ query: {}, text: body });

async function faultOf(promise: Promise<unknown>): Promise<Fault> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
  assert.fail("nothing was refused");
}

test("the state is JSON, or a script that calls a function", async () => {
  const control = await clusterOf();
  for (const path of ["/overlay-master/state", "/mesos/overlay-master/state"]) {
    const route = routeAt(control, path);
    assert.equal(route.method, "GET");
    const json = await route.handle({ query: {}, text: "" });
    assert.equal(json.type, "application/json");
    assert.deepEqual(Object.keys(JSON.parse(json.text)), ["agents", "network"]);
    const script = await route.handle({ query: { jsonp: "show.state" }, text: "" });
    assert.deepEqual(script, { type: "text/javascript", text: `show.state(${json.text});` });
    for (const jsonp of ["alert(1)//", "", "a b", ["a"]]) {
      assert.equal((await faultOf(route.handle({ query: { jsonp }, text: "" }))).reason, "request-invalid");
    }
  }
});

test("without an imported configuration there is no state, and nobody is removed", async () => {
  const control = await clusterOf({ isEmpty: true });
  const fault = await faultOf(routeAt(control, "/overlay-master/state").handle({ query: {}, text: "" }));
  assert.equal(fault.reason, "vrf-unknown");
  assert.match(fault.message, /weft import dcos/);
  assert.equal((await faultOf(remove(control, '{"agents":["10.0.0.1"]}'))).reason, "vrf-unknown");
  assert.deepEqual(await namesIn(control), ["h1", "h2"]);
});

test("agents are removed by POST, by their addresses, again and again", async () => {
  const control = await clusterOf();
  assert.equal(routeAt(control, DELETE).method, "POST");
  const reply = await remove(control, '{"agents":["10.0.0.1","10.9.9.9","10.0.0.1"]}');
  assert.equal(reply.type, "application/json");
  assert.deepEqual(
    JSON.parse(reply.text).agents.map(({ ip }: { readonly ip: string }) => ip),
    ["10.0.0.2"],
  );
  assert.deepEqual(await namesIn(control), ["h2"]);
  await remove(control, '{"agents":["10.0.0.1"]}');
  await remove(control, '{"agents":[]}');
  assert.deepEqual(await namesIn(control), ["h2"]);
});

test("a body that is not a list of IPv4 addresses is refused and removes nothing", async () => {
  const control = await clusterOf();
  const cases: readonly (readonly [string, RegExp])[] = [
    ["", /not JSON/],
    ["{", /not JSON/],
    ["[]", /no list of agents/],
    ["null", /no list of agents/],
    ['"agents"', /no list of agents/],
    ["{}", /no list of agents/],
    ['{"agents":"10.0.0.1"}', /no list of agents/],
    ['{"agents":[1]}', /agents\[0\]/],
    ['{"agents":["10.0.0.1","x"]}', /"x" is not an IPv4 address \(at agents\[1\]\)/],
    ['{"agents":["fd00::1"]}', /not an IPv4 address/],
  ];
  for (const [body, message] of cases) {
    const fault = await faultOf(remove(control, body));
    assert.equal(fault.reason, "request-invalid", body);
    assert.match(fault.message, message);
  }
  assert.deepEqual(await namesIn(control), ["h1", "h2"]);
});

test("a host that somebody else just removed is as good as removed, anything else is told", async () => {
  const both = '{"agents":["10.0.0.1","10.0.0.2"]}';
  const control = await clusterOf();
  await remove(withSlip(control, new Fault("host-unknown", { what: "there is no host h2", fix: "-" })), both);
  assert.deepEqual(await namesIn(control), ["h2"]);
  const away = withSlip(control, new Fault("unavailable", { what: "the disk is full", fix: "-" }));
  assert.equal((await faultOf(remove(away, both))).reason, "unavailable");
});

test("the agent's page is its own overlay information", async () => {
  const control = await clusterOf();
  const snapshot = await control.snapshot({ role: "host", host: "h2" });
  const page = overlayPage("h2", () => ({ snapshot, report: undefined }));
  assert.equal(page.path, "/overlay-agent/overlay");
  const overlay = JSON.parse(page.body());
  assert.deepEqual(
    [overlay.configuration_attempts, overlay.ip, overlay.overlays[0].subnet],
    [0, "10.0.0.2", "44.128.1.0/24"],
  );
  const stranger = overlayPage("h9", () => ({ snapshot, report: undefined }));
  assert.throws(() => stranger.body(), /has not joined/);
  const nothing = await (await clusterOf({ isEmpty: true })).snapshot(ADMIN);
  const idle = overlayPage("h1", () => ({ snapshot: nothing, report: undefined }));
  assert.deepEqual(JSON.parse(idle.body()), { configuration_attempts: 0, ip: "10.0.0.1", overlays: [] });
});
