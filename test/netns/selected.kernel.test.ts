// Attaches to any network, on the real kernel: what the server selects is what the workload gets, in global and local
// networks, by weft attach and by CNI; and nothing stays of what fails.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { CODES } from "../../src/doors/cni/refusal.ts";
import { whyNoKernelTests } from "../runner/machine.ts";
import { Cluster, type Json, must, until } from "./lab/cluster.ts";
import { type Call, plugin } from "./lab/plugin.ts";

describe("attaches that name no network", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(1);
  const [host = ""] = cluster.hosts;
  const attach = (netns: string, ...more: string[]) =>
    cluster.weft("attach", "--agent-socket", cluster.agentSocket(host), "--netns", netns, "--network", "auto", ...more);
  const cni = (command: string, more: Omit<Call, "command">) =>
    plugin(cluster.agentSocket(host), { ifname: "eth0", ...more, command });
  const conf = (more: object): Json => ({ cniVersion: "1.1.0", name: "any", type: "weft", network: "auto", ...more });
  const endpoints = async (): Promise<Json[]> => (await cluster.api("GET", "/v1/endpoints")).body.items;

  before(async () => {
    await cluster.open();
    for (const [name, spec] of Object.entries({
      small: { ipam: "global", subnets: [{ cidr: "10.61.0.0/30" }], labels: { zone: "a" } },
      large: { ipam: "global", subnets: [{ cidr: "10.62.0.0/24" }], labels: { zone: "a" } },
      routed: { ipam: "local", subnets: [{ cidr: "10.63.0.0/16", hostPrefix: 29 }], labels: { zone: "b" } },
    }))
      assert.equal((await cluster.api("PUT", `/v1/networks/${name}`, { spec })).status, 201);
    await cluster.converged();
  });
  after(() => cluster.close());

  test("a global network by requirement and policy: the interface has its address", async () => {
    const netns = await cluster.addWorkloadNetns("web");
    const requires = ["--requires", 'zone = a & !(NAME = "routed*")'];
    const told = await attach(netns, "--name", "web", "--policy", "packing", ...requires, "-o", "json");
    assert.equal(told.code, 0, told.stderr);
    const { spec } = JSON.parse(told.stdout);
    assert.deepEqual([spec.network, spec.addresses], ["small", ["10.61.0.2"]]);
    assert.match(await must("ip", "-n", netns, "-4", "-br", "address"), /eth0@\S+ +UP +10\.61\.0\.2\/30/);
    await must("ip", "netns", "exec", netns, "ping", "-c", "1", "-W", "2", "10.61.0.1");
    const again = await attach(netns, "--name", "web", "-o", "json");
    assert.equal(JSON.parse(again.stdout).spec.network, "small", "a repeated attach is answered as before");
    // The small network is full now, so packing takes the other one.
    const second = await attach(netns, "--name", "web", "--ifname", "eth1", "--policy", "packing", ...requires);
    assert.equal(second.code, 0, second.stderr);
    assert.match(await must("ip", "-n", netns, "-4", "-br", "address"), /eth1@\S+ +UP +10\.62\.0\.\d+\/24/);
  });

  test("a local network: the agent allocates in it until its block is full", async () => {
    const requires = ["--requires", "zone = b"];
    for (let i = 1; i <= 5; i++) {
      const netns = await cluster.addWorkloadNetns(`local${i}`);
      const told = await attach(netns, "--name", `local${i}`, ...requires, "-o", "json");
      assert.equal(told.code, 0, told.stderr);
      assert.equal(JSON.parse(told.stdout).spec.network, "routed");
      assert.match(await must("ip", "-n", netns, "-4", "-br", "address"), / 10\.63\.\d+\.\d+\/29/);
    }
    const netns = await cluster.addWorkloadNetns("local6");
    const { code, stderr } = await attach(netns, "--name", "local6", ...requires);
    assert.equal(code, 4);
    assert.match(stderr, /no network fits local6\.eth0 on host .*\[none-fits\]/);
    assert.match(stderr, /routed: .*\n +large: zone = "b": its zone is a/);
    assert.doesNotMatch(await must("ip", "-n", netns, "-br", "link"), /eth0/);
    const wrong = await attach(netns, "--requires", "zone = ");
    assert.match(wrong.stderr, /requires, column 8: .*\[expression-invalid\]\n(.*\n)+ +zone = *\n +\^/);
  });

  test("nothing stays of an attach that fails after the lease was given", async () => {
    const netns = await cluster.addWorkloadNetns("taken");
    await must("ip", "-n", netns, "link", "add", "eth0", "type", "veth", "peer", "name", "other");
    const { stderr } = await attach(netns, "--name", "taken", "--requires", "zone = a");
    assert.match(stderr, /\[interface-taken\]/);
    await until("the lease is released", async () => (await endpoints()).every(({ name }) => name !== "taken.eth0"));
  });

  test("interfaces of users: the user's rights decide, and the user owns the endpoint", async () => {
    const must = async (method: string, path: string, body: object) => {
      const answer = await cluster.api(method, path, body);
      assert.ok(answer.status < 300, JSON.stringify(answer));
      return answer.body;
    };
    await must("PUT", "/v1/usergroups/staff", { spec: {} });
    await must("PUT", "/v1/users/alice", { spec: { group: "staff" } });
    const { token } = await must("POST", "/v1/tokens", { name: "vm", user: "alice" });
    const folder = mkdtempSync(join(tmpdir(), "weft-user-"));
    const file = join(folder, "alice.token");
    writeFileSync(file, `${token}\n`, { mode: 0o600 });
    try {
      const netns = `/run/netns/${await cluster.addWorkloadNetns("alices")}`;
      const target = { container: "alices", netns };
      const config = conf({ network: "large", userTokenFile: file });
      const refused = await cni("ADD", { ...target, config });
      assert.equal(refused.answer.code, CODES.config, refused.output);
      const rule = { subject: { user: "alice" }, resource: { kinds: ["network"], name: "large" }, rights: ["use"] };
      await must("PUT", "/v1/aclrules/large", { spec: rule });
      assert.equal((await cni("ADD", { ...target, config })).code, 0);
      const made = (await endpoints()).find(({ name }) => name === "alices.eth0");
      assert.equal(made.access.owner, "alice");
      const local = await cni("ADD", { ...target, ifname: "eth1", config: conf({ ...config, network: "routed" }) });
      assert.equal(local.answer.code, CODES.unsupported, local.output);
      const selected = conf({ userTokenFile: file, differentNetworks: true });
      const none = await cni("ADD", { ...target, ifname: "eth1", config: selected });
      assert.equal(none.answer.code, CODES["none-fits"], none.output);
      assert.equal((await cni("DEL", { ...target, config })).code, 0);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test("CNI: ADD, the same again, CHECK, STATUS, DEL; and a refusal with its code", async () => {
    const netns = `/run/netns/${await cluster.addWorkloadNetns("pod")}`;
    const config = conf({ requires: "zone = a", rank: "FREE_LEASES", differentNetworks: true });
    const target = { container: "pod", netns };
    const added = await cni("ADD", { ...target, config });
    assert.equal(added.code, 0, added.output);
    assert.match(added.answer.ips[0].address, /^10\.62\.0\.\d+\/24$/);
    assert.deepEqual((await cni("ADD", { ...target, config })).answer, added.answer);
    const checked = await cni("CHECK", { ...target, config: { ...config, prevResult: added.answer } });
    assert.equal(checked.code, 0, checked.output);
    assert.equal((await cni("STATUS", { config })).code, 0);
    const other = await cni("ADD", { ...target, ifname: "eth1", config: conf({ ...config, requires: "zone = c" }) });
    assert.equal(other.answer.code, CODES["none-fits"], other.output);
    const unread = await cni("ADD", { ...target, ifname: "eth1", config: conf({ requires: "zone == c" }) });
    assert.equal(unread.answer.code, CODES.config, unread.output);
    assert.equal((await cni("DEL", { ...target, config })).code, 0);
    await until("the lease is released", async () => (await endpoints()).every(({ name }) => name !== "pod.eth0"));
  });
});
