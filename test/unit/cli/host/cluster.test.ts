// `weft cluster`: made, shown, changed and deleted; networks that are for clusters.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CommandLine } from "../commandLine.ts";

const line = new CommandLine();
const { control } = line;
const ADMIN = { role: "admin" } as const;
const weft = async (...words: readonly string[]) => {
  const ran = await line.weft(words);
  assert.equal(ran.code, 0, `${words.join(" ")}: ${ran.stderr}`);
  return ran.stdout + ran.stderr;
};

before(async () => {
  await line.open();
  for (const n of [1, 2, 3])
    await control.join(
      { host: `h${n}`, underlay: `192.0.2.${n}`, underlayMtu: 1500, hostPrefixes: [] },
      "j".repeat(40),
    );
});
after(() => line.close());

test("clusters and their networks, and what force loses", async () => {
  await weft("cluster", "create", "east", "--host", "h1", "--host-selector", "rack in (r7,r8)");
  await weft("cluster", "create", "west");
  assert.match(
    await weft("network", "create", "void", "--subnet", "10.1.0.0/24", "--cluster", "west"),
    /note: no host/,
  );
  await weft("network", "create", "blue", "--subnet", "10.7.0.0/24", "--cluster", "east");
  await weft("host", "set", "h2", "--label", "rack=r7");
  assert.match(await weft("cluster", "list"), /east +2 +1 +rack in \(r7,r8\)/);
  assert.match(await weft("cluster", "show", "east"), /Hosts: +h1, h2\nNetworks: +blue/);
  assert.match(await weft("network", "show", "blue"), /Clusters: +east: h1, h2/);
  const claim = { network: "blue", host: "h2", owner: "web", ifname: "eth0", netns: "/n" };
  await control.write({ verb: "attach", claim, by: ADMIN });
  const refused = await line.weft(["cluster", "edit", "east", "--host-selector", ""]);
  assert.deepEqual([refused.code, /web\.eth0 on h2/.test(refused.stderr)], [4, true]);
  assert.equal((await line.weft(["host", "set", "h2", "--label", "rack-"])).code, 4);
  const forced = await weft("cluster", "edit", "east", "--host-selector", "", "--force", "-y");
  assert.match(forced, /cluster east changed at revision \d+: selector/);
  assert.equal((await control.find("endpoint", "web.eth0", ADMIN))?.spec.detaching, true);
  await weft("cluster", "edit", "east", "--remove-host", "h1", "--host", "h3");
  assert.deepEqual((await control.find("network", "blue", ADMIN))?.spec.clusterHosts, ["h3"]);
  assert.equal((await line.weft(["cluster", "delete", "east"])).code, 4);
  assert.match(await weft("network", "edit", "blue", "--cluster", "none"), /clusters: east -> none/);
  await weft("cluster", "delete", "east");
  assert.equal((await control.find("network", "blue", ADMIN))?.spec.clusterHosts, undefined);
});
