// Two tenants who know nothing but a name: each makes a network from the template private-ipv4. They get the same
// addresses on the same hosts; each reaches its own and the outside, and nothing of one is seen by the other.
import assert from "node:assert/strict";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { after, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { call, Cluster, OUTSIDE, packetsAt, until, type Workload } from "./lab/cluster.ts";
import * as frames from "./lab/frames.ts";
import { Interface } from "./lab/interface.ts";
import { cliOf } from "./lab/weft.ts";

const TENANTS = ["red", "blue"] as const;
type Tenant = (typeof TENANTS)[number];

/** A broadcast that asks who has `wanted`, with some text behind it. */
function arpOf(mac: string, address: string, wanted: string, tag: string): Buffer {
  const macBytes = Buffer.from(mac.replaceAll(":", ""), "hex");
  const ipBytes = (text: string) => Buffer.from(text.split(".").map(Number));
  const ethernet = [Buffer.alloc(6, 0xff), macBytes, Buffer.from([0x08, 0x06])];
  const asks = Buffer.from([0, 1, 8, 0, 6, 4, 0, 1]);
  return Buffer.concat([
    ...ethernet,
    asks,
    macBytes,
    ipBytes(address),
    Buffer.alloc(6),
    ipBytes(wanted),
    Buffer.from(tag),
  ]);
}

describe("two tenants with networks of private-ipv4", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(2);
  const { refused } = cliOf(cluster);
  const tokens = new Map<Tenant, string>();
  const workloads = new Map<string, Workload>();
  const of = (tenant: Tenant, host: string) =>
    workloads.get(`${tenant}-${host}`) ?? assert.fail(`nothing of ${tenant} on ${host}`);

  before(() => cluster.open());
  after(() => cluster.close());

  test("a name is enough, and both have the same addresses", async () => {
    for (const tenant of TENANTS) {
      await cluster.api("PUT", `/v1/usergroups/${tenant}`, { spec: {} });
      await cluster.api("PUT", `/v1/users/${tenant}`, { spec: { group: tenant } });
      const { status, body } = await cluster.api("POST", "/v1/tokens", { name: "test", user: tenant });
      assert.ok(status < 300, JSON.stringify(body));
      tokens.set(tenant, body.token);
      const as = { socketPath: cluster.serverSocket, token: body.token as string };
      const made = await call(as, "POST", "/v1/templates/private-ipv4/instantiate", { name: tenant });
      assert.equal(made.status, 201, JSON.stringify(made.body));
      const said = JSON.stringify(made.body.networks[0]);
      assert.match(said, /10\.64\.0\.0\/24.*10\.64\.0\.1/);
      assert.equal(made.body.networks[0].access.owner, tenant);
    }
    await refused(/there is a network "red" already/, "template", "instantiate", "private-ipv4", "red");
    await cluster.converged();
    for (const tenant of TENANTS)
      for (const host of cluster.hosts)
        workloads.set(`${tenant}-${host}`, await cluster.attach(host, tenant, `${tenant}-${host}`));
    await cluster.converged();
    for (const host of cluster.hosts) {
      assert.deepEqual(of("red", host).addresses, of("blue", host).addresses);
      assert.match(of("red", host).addresses[0] ?? "", /^10\.64\.0\./);
    }
  });

  test("lists and every resource that one may read show nothing of the other", async () => {
    const { body: document } = await cluster.api("GET", "/openapi.json");
    const lists = Object.keys(document.paths).filter((path) => /^\/v1\/[a-z]+$/.test(path));
    assert.ok(lists.length > 15);
    for (const [tenant, other] of [
      ["red", "blue"],
      ["blue", "red"],
    ] as const) {
      const as = { socketPath: cluster.serverSocket, token: tokens.get(tenant) ?? "" };
      for (const path of lists.filter((each) => document.paths[each].get !== undefined && each !== "/v1/watch")) {
        const text = JSON.stringify((await call(as, "GET", path)).body);
        assert.doesNotMatch(text, new RegExp(`\\b${other}\\b`), `${tenant}: ${path}`);
      }
      assert.equal((await call(as, "GET", `/v1/networks/${other}`)).status, 404);
      assert.equal((await call(as, "DELETE", `/v1/networks/${other}?force=true`)).status, 404);
    }
  });

  test("the command line of each waits for its own, and shows nothing of the other", async () => {
    for (const [tenant, other] of [
      ["red", "blue"],
      ["blue", "red"],
    ] as const) {
      const weft = async (...words: readonly string[]) => {
        const { code, stdout, stderr } = await cluster.weftBy(tokens.get(tenant) ?? "", ...words);
        assert.equal(code, 0, `${words.join(" ")}: ${stderr}`);
        assert.doesNotMatch(stdout + stderr, new RegExp(String.raw`\b${other}\b`), words.join(" "));
        return stdout;
      };
      await weft("template", "instantiate", "private-ipv4", `${tenant}-more`, "--wait=20");
      await weft("network", "delete", `${tenant}-more`, "--wait=20");
      assert.match(await weft("status"), /converged at revision \d+ on 2 of 2 hosts/);
      assert.match(await weft("network", "show", tenant), new RegExp(tenant));
      assert.match(await weft("lease", "history", "10.64.0.2"), new RegExp(`${tenant}-h`));
      // What it was refused names what it asked for.
      assert.match(await weft("audit", "list", "--result", "done"), /instantiate/);
      await weft("network", "list", "-o", "json");
      await weft("endpoint", "list", "-o", "json");
      await weft("ipam", "map", tenant);
    }
  });

  test("a watch of one says nothing of what the other does", async () => {
    const { revision } = await cluster.status();
    const asked = request({
      socketPath: cluster.serverSocket,
      path: `/v1/watch?from=${revision}`,
      headers: { authorization: `Bearer ${tokens.get("red") ?? ""}` },
    });
    asked.on("error", () => undefined);
    asked.end();
    const [response] = (await once(asked, "response")) as [IncomingMessage];
    let heard = "";
    response.setEncoding("utf8").on("data", (text: string) => (heard += text));
    const { endpoint } = await cluster.attach("h1", "blue", "blue-watched");
    await cluster.api("DELETE", `/v1/endpoints/${endpoint}`);
    await cluster.attach("h1", "red", "red-watched");
    await until("its own change", async () => heard.includes("red-watched"));
    asked.destroy();
    assert.doesNotMatch(heard, /blue/);
  });

  test("with equal MACs and addresses, no frame of one reaches the other: to all, ARP, or forged", async () => {
    const twins = ["02:00:00:00:aa:01", "02:00:00:00:aa:02"].map((mac, i) => ({
      mac,
      addresses: [`10.64.0.${100 + i}`],
    }));
    const wires = new Map<string, Interface>();
    for (const tenant of TENANTS)
      for (const [i, twin] of twins.entries()) {
        const { netns } = await cluster.attach(`h${i + 1}`, tenant, `${tenant}-twin${i}`, twin);
        wires.set(`${tenant}${i}`, await Interface.in(netns, "eth0"));
      }
    await cluster.converged();
    const wire = (name: string) => wires.get(name) ?? assert.fail(name);
    const [a, b] = twins.map(({ mac, addresses }) => ({ mac, address: addresses[0] ?? "" }));
    assert.ok(a !== undefined && b !== undefined);
    const ears = await Promise.all(
      cluster.hosts.flatMap((host) =>
        TENANTS.map(async (tenant) => ({ tenant, ear: await Interface.in(cluster.vrfNetns(host, tenant)) })),
      ),
    );
    const own = { fromMac: a.mac, toMac: b.mac, from: a.address, to: b.address };
    for (const [sender, silent] of [
      ["red", "blue"],
      ["blue", "red"],
    ] as const) {
      const tag = (what: string) => `${sender}-${what}-frame`;
      const from = wire(`${sender}0`);
      await until("its own peer gets it", async () => {
        from.send(frames.udp(own, 53, tag("unicast")));
        return wire(`${sender}1`).has(tag("unicast"));
      });
      from.send(frames.udp({ ...own, toMac: frames.BROADCAST, to: "255.255.255.255" }, 53, tag("broadcast")));
      from.send(frames.udp({ ...own, fromMac: of(silent, "h1").mac }, 53, tag("mac")));
      from.send(
        frames.udp({ ...own, toMac: of(silent, "h2").mac, to: of(silent, "h2").addresses[0] ?? "" }, 53, tag("to")),
      );
      from.send(frames.udp({ ...own, from: "10.64.0.1" }, 53, tag("gateway")));
      from.send(arpOf(a.mac, a.address, "10.64.0.1", tag("arp")));
      from.send(frames.udp(own, 53, tag("last")));
      await until("the last arrives", async () => wire(`${sender}1`).has(tag("last")));
      // What the other sends meanwhile arrives: it hears, and not this.
      wire(`${silent}0`).send(frames.udp(own, 53, `${silent}-fence-${sender}`));
      await until("the other's own", async () => wire(`${silent}1`).has(`${silent}-fence-${sender}`));
      const others = ears.filter(({ tenant }) => tenant === silent).map(({ ear }) => ear);
      for (const ear of [wire(`${silent}0`), wire(`${silent}1`), ...others])
        assert.deepEqual(
          ear.framesWith(`${sender}-`).map((frame) => frame.slice(-40)),
          [],
        );
      assert.ok(!wire(`${sender}1`).has(tag("mac")), "nor does it send as another in its own network");
    }
    for (const each of [...wires.values(), ...ears.map(({ ear }) => ear)]) each.close();
  });

  test("each pings its own and its gateway; the outside sees the host", async () => {
    const [address = ""] = of("red", "h2").addresses;
    for (const tenant of TENANTS) {
      const from = of(tenant, "h1");
      await cluster.reaches(from, address);
      await cluster.reaches(from, "10.64.0.1");
      await cluster.reaches(from, OUTSIDE);
      const outside = await packetsAt(cluster.wire, "lan", `icmp and host ${OUTSIDE}`, () =>
        cluster.pings(from, OUTSIDE, 2),
      );
      assert.match(outside, new RegExp(`${cluster.underlayOf("h1")} > ${OUTSIDE}`));
      assert.doesNotMatch(outside, /10\.64\./);
    }
  });

  test("no frame of one is at the other: not at its workloads, not in its namespaces", async () => {
    const [address = ""] = of("red", "h2").addresses;
    for (const [sender, silent] of [
      ["red", "blue"],
      ["blue", "red"],
    ] as const) {
      const { mac } = of(sender, "h1");
      const ears = cluster.hosts.flatMap((host) => [
        { netns: of(silent, host).netns, dev: "eth0" },
        { netns: cluster.vrfNetns(host, silent), dev: "any" },
      ]);
      let heard = "";
      let act: () => Promise<unknown> = async () => {
        assert(await cluster.pings(of(sender, "h1"), address, 5, 10_000));
        await cluster.pings(of(sender, "h1"), OUTSIDE, 2);
      };
      for (const { netns, dev } of ears) {
        const inner = act;
        act = async () => void (heard += await packetsAt(netns, dev, "icmp", inner));
      }
      await act();
      assert.equal(heard, "", `${silent} hears ${sender} (${mac})`);
    }
  });
});
