// GRE with packets, over an underlay of one family: what every driver does, and what is special to this one.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { Cluster, type Json, must, run, until } from "./cluster.ts";
import { DriverScene, driverSuite } from "./driverSuite.ts";

/** What Linux puts into every namespace once a kind of GRE device was made. */
const FALLBACKS = ["gre0", "gretap0", "erspan0", "ip6tnl0", "ip6gre0", "sit0", "tunl0"];
const OVERHEAD = { 4: 42, 6: 62 };

export function greTests(underlay: 4 | 6): void {
  const kind = underlay === 4 ? "gretap" : "ip6gretap";
  describe(`GRE over IPv${underlay}`, () => {
    const cluster = new Cluster(2, [], underlay);
    const scene = new DriverScene(cluster, "gre");
    const [h1, h2] = ["h1", "h2"].map((host) => cluster.netnsOf(host)) as [string, string];
    const wireAddress = underlay === 4 ? "172.31.77.1" : "fd77::1";
    const links = async (netns: string, ...words: string[]): Promise<Json[]> =>
      JSON.parse(await must("ip", "-n", netns, "-j", "-d", "link", "show", ...words));
    const tunnels = async (network: string): Promise<Json[]> =>
      (await links(cluster.vrfNetns("h1", network), "type", kind)).filter(({ ifname }) => !FALLBACKS.includes(ifname));
    /** A tunnel of somebody else, in a namespace: `how` are the words of its kind. */
    const foreign = async (netns: string, name: string, address: string, ...how: string[]) => {
      await must("ip", "-n", netns, "link", "add", name, "type", ...how);
      await must("ip", "-n", netns, "addr", "add", address, "dev", name);
      await must("ip", "-n", netns, "link", "set", name, "up");
    };
    const ends = (local: string, remote: string) => ["local", local, "remote", remote];
    const [self, peer] = ["h1", "h2"].map((host) => cluster.underlayOf(host)) as [string, string];
    /** One to a member host with a key that is nobody's, one to a host outside without a key. */
    const foreigns = async () => {
      await foreign(h1, "theirs1", "10.99.1.1/24", kind, ...ends(self, peer), "key", "99");
      await foreign(h2, "theirs1", "10.99.1.2/24", kind, ...ends(peer, self), "key", "99");
      await foreign(h1, "theirs2", "10.99.2.1/24", kind, ...ends(self, wireAddress));
      await foreign(cluster.wire, "theirs2", "10.99.2.2/24", kind, ...ends(wireAddress, self));
    };
    let before_: Json[] = [];

    before(async () => {
      await cluster.open();
      if (underlay === 6) await must("ip", "-n", cluster.wire, "addr", "add", "fd77::1/64", "dev", "lan", "nodad");
      await foreigns();
      before_ = await links(h1, "type", kind);
      await scene.open();
    });
    after(async () => {
      scene.close();
      await cluster.close();
    });

    test("a device to each peer, for the host's namespace, isolated in its bridge, with the VNI as key", async () => {
      for (const network of ["switched", "routed"]) {
        const [device, ...more] = await tunnels(network);
        const { local, remote, ikey, okey } = device.linkinfo.info_data;
        const key = Number(/^gt(\d+)-/.exec(device.ifname)?.[1]);
        assert.deepEqual([local, remote, more.length], [self, peer, 0]);
        for (const text of [ikey, okey])
          assert.equal(
            String(text)
              .split(".")
              .reduce((n, part) => n * 256 + Number(part), 0),
            key,
          );
        assert.equal(device.mtu, 1500 - OVERHEAD[underlay]);
        assert.notEqual(device.link_netnsid ?? device["link-netns"], undefined, JSON.stringify(device));
        if (network === "switched") {
          const { isolated, learning, flood } = device.linkinfo.info_slave_data;
          assert.deepEqual([isolated, learning, flood], [true, false, false]);
        }
      }
    });

    driverSuite(scene, 1500 - OVERHEAD[underlay]);

    test("a device that is gone, or is not as it should be, is repaired", async () => {
      const far = scene.of("switched-c").addresses[0] ?? "";
      const netns = cluster.vrfNetns("h1", "switched");
      const name: string = (await tunnels("switched"))[0].ifname;
      const key = name.slice(2).split("-")[0] ?? "";
      const whole = [kind, ...ends(self, peer), "key", key];
      for (const words of [
        ["link", "delete", name],
        ["link", "set", name, "type", ...whole, "csum"],
        ["link", "set", name, "type", ...whole, "ttl", "1"],
        ["link", "set", name, "mtu", "1300"],
        ["link", "set", name, "type", "bridge_slave", "isolated", "off"],
      ]) {
        const { code, stderr } = await run("ip", "-n", netns, ...words);
        assert.equal(code, 0, `${words.join(" ")}: ${stderr}`);
        await until(`${words.join(" ")} is repaired`, async () => {
          const [device] = await tunnels("switched");
          if (device === undefined) return false;
          const { info_data: data, info_slave_data: port } = device.linkinfo;
          const isPlain = !data.icsum && !data.ocsum && data.ttl === 64 && device.mtu === 1500 - OVERHEAD[underlay];
          return isPlain && port?.isolated === true && (await cluster.pings(scene.of("switched-a"), far));
        });
      }
    });

    test("a smaller underlay is followed", async () => {
      const [from, to] = [scene.of("switched-a"), scene.of("switched-c").addresses[0] ?? ""];
      for (const mtu of [1400, 1500]) {
        for (const netns of [h1, h2]) await must("ip", "-n", netns, "link", "set", "eth0", "mtu", String(mtu));
        const most = mtu - OVERHEAD[underlay];
        await until(`${most} bytes and no more`, async () => {
          return (await scene.fits(from, to, most)) && !(await scene.fits(from, to, most + 1));
        });
      }
    });

    test("tunnels of others on the host work, and only a key of ours is closed to hosts outside", async () => {
      for (const address of ["10.99.1.2", "10.99.2.2"]) await cluster.reaches(h1, address);
      const key: string = (await tunnels("switched"))[0].ifname.slice(2).split("-")[0];
      const nft = (...words: string[]) => must("ip", "netns", "exec", h1, "nft", ...words);
      await nft("add table inet seen; add chain inet seen in { type filter hook prerouting priority 0; }");
      const isFrom = `${underlay === 4 ? "ip" : "ip6"} saddr ${wireAddress}`;
      for (const [sent, isClosed] of [
        ["98", false],
        [key, true],
      ] as const) {
        await nft(
          `flush chain inet seen in; add rule inet seen in @th,32,32 ${sent} meta l4proto gre ${isFrom} counter`,
        );
        await foreign(cluster.wire, `probe${sent}`, "10.99.3.2/24", kind, ...ends(wireAddress, self), "key", sent);
        await run("ip", "netns", "exec", cluster.wire, "ping", "-c", "2", "-i", "0.1", "-W", "0.5", "10.99.3.1");
        const packets = Number(/packets (\d+)/.exec(await nft("list chain inet seen in"))?.[1]);
        assert.equal(packets === 0, isClosed, `key ${sent}: ${packets} packets`);
        await must("ip", "-n", cluster.wire, "link", "delete", `probe${sent}`);
      }
      await nft("delete table inet seen");
    });

    test("with its networks all of it goes, and what is others' stays as it was", async () => {
      for (const network of ["switched", "other", "routed"]) {
        const { status, body } = await cluster.api("DELETE", `/v1/networks/${network}?force=true`);
        assert.equal(status, 200, JSON.stringify(body));
      }
      await cluster.converged();
      await until("nothing is left", async () => {
        const spaces = readdirSync("/run/netns").filter((name) => name.startsWith(`${h1}-`));
        const { stdout } = await run("ip", "netns", "exec", h1, "nft", "list", "tables");
        return spaces.length === 0 && !stdout.includes("weft");
      });
      const left = await links(h1);
      const others = ["lo", "eth0", "theirs1", "theirs2", ...FALLBACKS];
      assert.deepEqual(
        left.map(({ ifname }) => ifname).filter((name) => !others.includes(name)),
        [],
      );
      assert.deepEqual(await links(h1, "type", kind), before_);
      for (const address of ["10.99.1.2", "10.99.2.2"]) await cluster.reaches(h1, address);
    });
  });
}
