// Networks by Open vSwitch, with packets, and what is special to them. Rows of others stay as they are, what others do
// to Weft's is repaired, and nothing is left.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../../runner/machine.ts";
import { call, must, until } from "./cluster.ts";
import { DriverScene, type SceneNetwork } from "./driverSuite.ts";
import { ovsObstacle } from "./openVswitch.ts";
import { type Datapath, OvsCluster } from "./ovsCluster.ts";

export type OvsScene = {
  readonly cluster: OvsCluster;
  readonly scene: DriverScene;
  /** The number of its tunnels and ports. */
  readonly vniOf: (network: string) => Promise<number>;
};

type Case = {
  readonly datapath: Datapath;
  readonly family: 4 | 6;
  /** One of them is called `vxlan`. */
  readonly networks: Readonly<Record<string, SceneNetwork>>;
};

/** Two hosts with a physical network `dc`, whose VLANs are 100 to 109. The last test is that nothing is left. */
export function ovsTests({ datapath, family, networks }: Case, special: (scene: OvsScene) => void): void {
  const skip = whyNoKernelTests() ?? ovsObstacle() ?? false;
  const title = `networks by Open vSwitch, datapath ${datapath}, over IPv${family}`;
  void describe(title, { skip }, () => {
    const cluster = new OvsCluster(datapath, family);
    const scene = new DriverScene(cluster, "ovs", networks);
    const vniOf = async (network: string) =>
      (await cluster.api("GET", `/v1/networks/${network}`)).body.spec.vni as number;
    before(async () => {
      await cluster.open();
      await scene.put("/v1/physicalnetworks/dc", { vlans: ["100-109"] });
      for (const host of cluster.hosts) {
        const { code, stderr } = await cluster.weft("host", "set", host, "--physical", "dc=eth1");
        assert.equal(code, 0, stderr);
      }
      await scene.open();
    });
    after(async () => {
      scene.close();
      await cluster.close();
    });
    special({ cluster, scene, vniOf });
    removal(cluster, scene);
  });
}

function removal(cluster: OvsCluster, scene: DriverScene): void {
  test("removed, nothing is left, and what is another's is as it was", async () => {
    for (const network of scene.names) {
      const { status, body } = await cluster.api("DELETE", `/v1/networks/${network}?force=true`);
      assert.equal(status, 200, JSON.stringify(body));
    }
    await cluster.converged();
    for (const host of cluster.hosts) {
      const ovs = cluster.switchOf(host);
      await until("no bridge of ours", async () => !/^wo/m.test(ovs.vsctl("list-br")));
      assert.equal(ovs.vsctl("list-ports", "br-ex"), "eth2");
      assert.equal(ovs.vsctl("--bare", "--columns=name", "find", "port", 'external_ids:weft!=""'), "");
      await until("no device of ours", async () => {
        return !/^w[obpu]/m.test(await must("ip", "-n", cluster.netnsOf(host), "-br", "link"));
      });
    }
    const left = (await must("ip", "netns", "list")).split("\n").map((line) => line.split(" ")[0] ?? "");
    for (const host of cluster.hosts)
      await until("no namespace of a VRF", async () => !left.some((name) => name === cluster.vrfNetns(host, "vxlan")));
  });
}

/** What another does to a row of Weft's on h1, and how the row is read. */
type Harm = readonly [what: string, harm: readonly string[], read: readonly string[]];

/** After each harm the row is as it was, and packets pass. */
export function driftTest({ cluster, scene, vniOf }: OvsScene, bridge: string, vlan: string): void {
  test("what another changes or deletes in the database is repaired", async () => {
    const ovs = cluster.switchOf("h1");
    const [own, tunnelled] = [`wo${await vniOf(vlan)}`, await vniOf("vxlan")];
    const tunnel = `wt${tunnelled}-2`;
    const harms: readonly Harm[] = [
      ["the port", ["del-port", own], ["port-to-br", own]],
      ["its tag", ["set", "port", own, "tag=109"], ["get", "port", own, "tag"]],
      ["its mode", ["clear", "port", own, "vlan_mode", "tag"], ["get", "port", own, "vlan_mode", "tag"]],
      ["the bridge", ["del-br", bridge], ["list-ports", bridge]],
      ["a tunnel", ["del-port", tunnel], ["port-to-br", tunnel]],
      [
        "the tunnel's end",
        ["set", "interface", tunnel, "options:remote_ip=192.0.2.9"],
        ["get", "interface", tunnel, "options"],
      ],
      ["split horizon", ["set", "port", tunnel, "protected=false"], ["get", "port", tunnel, "protected"]],
      ["the tunnel's bridge", ["del-br", `wob${tunnelled}`], ["list-ports", `wob${tunnelled}`]],
    ];
    for (const [what, harm, read] of harms) {
      const was = ovs.vsctl(...read);
      ovs.vsctl("--no-wait", ...harm);
      const now = () => {
        try {
          return ovs.vsctl(...read);
        } catch {
          return "";
        }
      };
      await until(`${what} is as it was`, async () => now() === was);
      for (const network of [vlan, "vxlan"])
        await cluster.reaches(scene.of(`${network}-a`), scene.of(`${network}-c`).addresses[0] ?? "");
    }
  });
}

/** What the agent says of its host. */
export async function saying(cluster: OvsCluster, host: string): Promise<string> {
  return JSON.stringify((await call(cluster.agentSocket(host), "GET", "/v1/status")).body);
}
