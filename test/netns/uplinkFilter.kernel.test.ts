// What a workload reaches through its VRF's uplink, on the real kernel: the outside, and neither its host's own
// sockets, nor the server, nor other hosts, unless its VRF has host access or an administrator publishes something.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { Cluster, must, OUTSIDE, packetsAt, run, until, type Workload } from "./lab/cluster.ts";
import { dial, Listener } from "./lab/tcp.ts";

const SERVER = "172.31.77.1";
const OUTSIDE6 = "2001:db8::7";
const PORT = 7100;
const UPLINKS = "169.254.64";

describe("the way out", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(2);
  const listeners: Listener[] = [];
  const [h1, h2] = ["h1", "h2"].map((host) => cluster.underlayOf(host));
  const own6 = "fd77::11";
  let closed: Workload;
  let open: Workload;
  const put = async (path: string, spec: object) => {
    const { status, body } = await cluster.api("PUT", path, { spec });
    assert(status < 300, `${path}: ${JSON.stringify(body)}`);
  };

  before(async () => {
    await cluster.open();
    for (const words of [
      ["-n", cluster.wire, "addr", "add", "fd77::1/64", "dev", "lan", "nodad"],
      ["-n", cluster.wire, "addr", "add", `${OUTSIDE6}/128`, "dev", "lo", "nodad"],
      ["-n", cluster.netnsOf("h1"), "addr", "add", `${own6}/64`, "dev", "eth0", "nodad"],
      ["-n", cluster.netnsOf("h1"), "route", "add", "default", "via", "fd77::1"],
      // As clouds have it: where a machine asks who it is.
      ["-n", cluster.wire, "addr", "add", "169.254.169.254/32", "dev", "lo"],
    ])
      await must("ip", ...words);
    for (const netns of [cluster.wire, cluster.netnsOf("h1")])
      await must("ip", "netns", "exec", netns, "sysctl", "-qw", "net.ipv6.conf.all.forwarding=1");
    await put("/v1/vrfs/open", { hostAccess: true });
    await put("/v1/networks/closed", { ipam: "global", subnets: [{ cidr: "10.70.0.0/24" }, { cidr: "fd70::/64" }] });
    await put("/v1/networks/open", {
      ipam: "local",
      vrf: "open",
      subnets: [
        { cidr: "10.71.0.0/16", hostPrefix: 24 },
        { cidr: "fd71::/56", hostPrefix: 64 },
      ],
    });
    await cluster.converged();
    closed = await cluster.attach("h1", "closed", "closed-a");
    open = await cluster.attach("h1", "open", "open-a");
    for (const [netns, name] of [
      [cluster.netnsOf("h1"), "h1"],
      [cluster.netnsOf("h2"), "h2"],
      [cluster.wire, "outside"],
    ] as const)
      listeners.push(await Listener.in(netns, PORT, name));
  });
  after(async () => {
    for (const listener of listeners) listener.close();
    await cluster.close();
  });

  /** The addresses of the ends of a VRF's uplink on h1: the host's and the VRF's own. */
  const uplinkOf = async (vrf: string) =>
    (await must("ip", "-n", cluster.vrfNetns("h1", vrf), "route", "show", "default")).split(" ")[2] ?? "";

  test("leads to the outside in both families, under the host's address", async () => {
    for (const from of [closed, open]) {
      assert.equal(await dial(from.netns, OUTSIDE, PORT), `outside ${h1}`);
      assert.equal(await dial(from.netns, OUTSIDE6, PORT), `outside ${own6}`);
    }
  });

  test("does not lead to the host's own sockets, the server's, other hosts', or what machines are told", async () => {
    const uplink = await uplinkOf("closed");
    assert(uplink.startsWith(UPLINKS), uplink);
    for (const address of [h1 ?? "", own6, uplink, h2 ?? "", SERVER, "169.254.169.254"])
      assert.equal(await dial(closed.netns, address, PORT), "", `closed -> ${address}`);
    assert.equal(
      (await run("ip", "netns", "exec", closed.netns, "timeout", "1", "bash", "-c", `exec 3<>/dev/tcp/${SERVER}/7474`))
        .code === 0,
      false,
    );
    for (const address of [h1 ?? "", h2 ?? "", SERVER, own6])
      assert.equal(await cluster.pings(closed, address), false, `ping ${address}`);
    assert(await cluster.reaches(closed, uplink), "the end of its uplink says that it is there");
    // The host itself, and hosts among themselves, are not concerned.
    assert.equal(await dial(cluster.netnsOf("h1"), h2 ?? "", PORT), `h2 ${h1}`);
    assert.equal(await dial(cluster.netnsOf("h2"), h1 ?? "", PORT), `h1 ${h2}`);
  });

  test("is open both ways where the VRF has host access, and follows it live", async () => {
    for (const [address, name] of [
      [h1 ?? "", "h1"],
      [own6, "h1"],
      [h2 ?? "", "h2"],
      [SERVER, "outside"],
    ] as const)
      assert.match(await dial(open.netns, address, PORT), new RegExp(`^${name} `), `open -> ${address}`);
    const inside = await Listener.in(open.netns, PORT, "open-a");
    listeners.push(inside);
    for (const address of open.addresses) assert.match(await dial(cluster.netnsOf("h1"), address, PORT), /^open-a /);
    const { body } = await cluster.api("GET", "/v1/vrfs/open");
    const { vtepSubnets, hostAccess: _ } = body.spec;
    await put("/v1/vrfs/open", { vtepSubnets, hostAccess: false });
    await cluster.converged();
    await until("it is closed again", async () => (await dial(open.netns, h1 ?? "", PORT)) === "");
    await put("/v1/vrfs/open", { vtepSubnets, hostAccess: true });
    await cluster.converged();
    await until("it is open again", async () => (await dial(open.netns, h1 ?? "", PORT)) !== "");
  });

  test("a name server of the network on the host may be asked, and nothing else there", async () => {
    const { body } = await cluster.api("GET", "/v1/networks/closed");
    const resolver = await Listener.in(cluster.netnsOf("h1"), 53, "resolver");
    listeners.push(resolver);
    assert.equal(await dial(closed.netns, h1 ?? "", 53), "");
    const { vni: _, ...spec } = body.spec;
    await put("/v1/networks/closed", { ...spec, dns: [h1] });
    await cluster.converged();
    await until("it answers", async () => (await dial(closed.netns, h1 ?? "", 53)).startsWith("resolver "));
    assert.equal(await dial(closed.netns, h1 ?? "", PORT), "");
    assert.equal(await dial(open.netns, h1 ?? "", 53).then((said) => said.startsWith("resolver ")), true);
  });

  for (const hostAccess of [false, true]) {
    test(`without masquerade nothing leaves the host, ${hostAccess ? "with" : "without"} host access`, async () => {
      const vrf = hostAccess ? "open" : "closed";
      const prefix = hostAccess ? 73 : 72;
      await put(`/v1/networks/bare-${vrf}`, {
        vrf,
        ipam: "global",
        masquerade: false,
        subnets: [{ cidr: `10.${prefix}.0.0/24` }, { cidr: `fd${prefix}::/64` }],
      });
      await cluster.converged();
      const bare = await cluster.attach("h1", `bare-${vrf}`, `bare-${vrf}`);
      const seen = await packetsAt(cluster.wire, "lan", `net 10.${prefix}.0.0/24 or net fd${prefix}::/64`, async () => {
        for (const address of [OUTSIDE, OUTSIDE6, h2 ?? "", SERVER]) {
          assert.equal(await cluster.pings(bare, address), false, address);
          assert.equal(await dial(bare.netns, address, PORT), "", address);
        }
      });
      assert.equal(seen, "");
      const told = await dial(bare.netns, h1 ?? "", PORT);
      assert.equal(told, hostAccess ? `h1 ${bare.addresses[0]}` : "");
      if (hostAccess)
        for (const address of bare.addresses) assert(await cluster.reaches(cluster.netnsOf("h1"), address), address);
    });
  }
});
