// The overlay master's interface: what each request is answered. The removal of real hosts is in control.test.ts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../model/fault.ts";
import { type Host, type Snapshot, type Vrf, emptySnapshot } from "../../model/resource.ts";
import { type Cluster, dcosRoutes, overlayPage } from "./routes.ts";

const vrf: Vrf = {
  kind: "vrf",
  name: "dcos",
  uid: "v",
  revision: 1,
  spec: {
    index: 1,
    vni: 1024,
    tunnelPort: 4789,
    vtepSubnets: ["44.128.0.0/20"],
    vtepMacOui: "70:b3:d5",
    hostAccess: true,
    dcos: { vtepMacOui: "70:B3:D5:00:00:00", masters: [], agents: [] },
  },
};

function host(name: string, underlay: string, order: number): Host {
  return { kind: "host", name, uid: name, revision: 1, spec: { underlay, underlayMtu: 1500, order } };
}

/** Two hosts; `slip` is what happens when the second is removed. */
function clusterWith(slip?: Error): Cluster & { readonly names: () => readonly string[] } {
  let snapshot: Snapshot = {
    ...emptySnapshot("c"),
    vrfs: [vrf],
    hosts: [host("h1", "10.0.0.1", 0), host("h2", "10.0.0.2", 1)],
  };
  return {
    snapshot: () => snapshot,
    reports: () => new Map(),
    deleteHost: async (name) => {
      if (name === "h2" && slip !== undefined) throw slip;
      snapshot = { ...snapshot, hosts: snapshot.hosts.filter((other) => other.name !== name) };
    },
    names: () => snapshot.hosts.map(({ name }) => name),
  };
}

function routeAt(cluster: Cluster, path: string) {
  const route = dcosRoutes(cluster).find(({ paths }) => paths.includes(path));
  assert.ok(route !== undefined, path);
  return route;
}

const DELETE = "/overlay-master/agents/delete";
const remove = (cluster: Cluster, body: string) => routeAt(cluster, DELETE).handle({ query: {}, body });

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
  for (const path of ["/overlay-master/state", "/mesos/overlay-master/state"]) {
    const route = routeAt(clusterWith(), path);
    assert.equal(route.method, "GET");
    const json = await route.handle({ query: {}, body: "" });
    assert.equal(json.type, "application/json");
    assert.deepEqual(JSON.parse(json.body).network, {
      overlays: [],
      vtep_mac_oui: "70:B3:D5:00:00:00",
      vtep_subnet: "44.128.0.0/20",
    });
    const script = await route.handle({ query: { jsonp: "show.state" }, body: "" });
    assert.deepEqual(script, { type: "text/javascript", body: `show.state(${json.body});` });
    for (const jsonp of ["alert(1)//", "", "a b", ["a"]]) {
      assert.equal((await faultOf(route.handle({ query: { jsonp }, body: "" }))).reason, "request-invalid");
    }
  }
});

test("without an imported configuration there is no state", async () => {
  const cluster = { ...clusterWith(), snapshot: () => emptySnapshot("c") };
  const fault = await faultOf(routeAt(cluster, "/overlay-master/state").handle({ query: {}, body: "" }));
  assert.equal(fault.reason, "vrf-unknown");
  assert.match(fault.message, /weft import dcos/);
});

test("agents are removed by POST only, by their addresses, again and again", async () => {
  const cluster = clusterWith();
  assert.equal(routeAt(cluster, DELETE).method, "POST");
  const reply = await remove(cluster, '{"agents":["10.0.0.1","10.9.9.9","10.0.0.1"]}');
  assert.equal(reply.type, "application/json");
  assert.deepEqual(Object.keys(JSON.parse(reply.body)), ["agents", "network"]);
  assert.deepEqual(cluster.names(), ["h2"]);
  await remove(cluster, '{"agents":["10.0.0.1"]}');
  await remove(cluster, '{"agents":[]}');
  assert.deepEqual(cluster.names(), ["h2"]);
});

test("a body that is not a list of IPv4 addresses is refused and removes nothing", async () => {
  const cluster = clusterWith();
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
    const fault = await faultOf(remove(cluster, body));
    assert.equal(fault.reason, "request-invalid", body);
    assert.match(fault.message, message);
  }
  assert.deepEqual(cluster.names(), ["h1", "h2"]);
});

test("a host that somebody else just removed is as good as removed, anything else is told", async () => {
  const both = '{"agents":["10.0.0.1","10.0.0.2"]}';
  const gone = clusterWith(new Fault("host-unknown", { what: "there is no host h2", fix: "-" }));
  await remove(gone, both);
  assert.deepEqual(gone.names(), ["h2"]);
  const away = clusterWith(new Fault("unavailable", { what: "the disk is full", fix: "-" }));
  assert.equal((await faultOf(remove(away, both))).reason, "unavailable");
});

test("the agent's page is its own overlay information", () => {
  const { snapshot } = clusterWith();
  const page = overlayPage("h2", () => ({ snapshot: snapshot(), report: undefined }));
  assert.equal(page.path, "/overlay-agent/overlay");
  assert.deepEqual(JSON.parse(page.body()), { configuration_attempts: 0, ip: "10.0.0.2", overlays: [] });
  const stranger = overlayPage("h9", () => ({ snapshot: snapshot(), report: undefined }));
  assert.throws(() => stranger.body(), /has not joined/);
});
