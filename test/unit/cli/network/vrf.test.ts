// Routing domains and what a network has by default, set by flags and taken back, against a real server.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CommandLine } from "../commandLine.ts";

const line = new CommandLine();
before(() => line.open());
after(() => line.close());

type Printed = { readonly spec: Readonly<Record<string, unknown>> };

async function ran(...words: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await line.weft(words);
  assert.equal(code, 0, `${words.join(" ")}: ${stderr}`);
  return stdout + stderr;
}

test("a VRF by flags: made, changed, deleted with its networks only by force", async () => {
  await ran("vrf", "create", "red", "--tunnel-port", "4790", "--vni", "77", "--vtep-subnet", "198.18.4.0/24");
  assert.equal((await line.weft(["vrf", "create", "red"])).code, 4);
  await ran("network", "create", "n", "--subnet", "10.1.0.0/16", "--host-prefix", "24", "--vrf", "red");
  assert.match(
    await ran("vrf", "edit", "red", "--host-access", "--tunnel-port", "4791"),
    /tunnelPort, hostAccess|hostAccess/,
  );
  const { spec } = await line.json<Printed>("vrf", "show", "red");
  assert.deepEqual([spec["tunnelPort"], spec["vni"], spec["hostAccess"], spec["kept"]], [4791, 77, true, true]);
  await ran("vrf", "edit", "red", "--no-host-access");
  assert.equal((await line.json<Printed>("vrf", "show", "red")).spec["hostAccess"], false);
  assert.equal((await line.weft(["vrf", "edit", "red"])).code, 2);
  assert.equal((await line.weft(["vrf", "delete", "red"])).code, 4);
  assert.equal((await line.weft(["vrf", "delete", "red", "--force"])).code, 2, "nobody is there to ask");
  await ran("vrf", "delete", "red", "--force", "--yes");
  assert.equal((await line.weft(["network", "show", "n"])).code, 3);
});

test("what was set on a network goes back to its default", async () => {
  const set = ["--mtu", "1400", "--dns", "10.2.0.1", "--dns", "fd00::1", "--description", "x", "--sticky"];
  await ran("network", "create", "back", "--subnet", "10.2.0.0/16", ...set);
  await ran("network", "edit", "back", "--mtu", "auto", "--dns", "none", "--description", "", "--no-sticky");
  const { spec } = await line.json<Printed>("network", "show", "back");
  assert.deepEqual(
    [spec["mtu"], spec["dns"], spec["description"], spec["sticky"]],
    [undefined, undefined, undefined, false],
  );
  assert.equal((await line.weft(["network", "edit", "back", "--dns", "none", "--dns", "10.2.0.1"])).code, 2);
});
