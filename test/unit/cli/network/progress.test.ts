// `weft network show` after a change of the network, and `weft network retry` where it failed.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { reportOf } from "../../control/lab.ts";
import { CommandLine } from "../commandLine.ts";

const line = new CommandLine();
before(async () => {
  await line.open();
  await line.joinHost("h1", "192.168.0.1");
  await line.weft(["network", "create", "blue", "--subnet", "10.7.0.0/24"]);
  const workload = { host: "h1", owner: "web", ifname: "eth0", netns: "/run/netns/web" };
  await line.control.write({ verb: "attach", claim: { network: "blue", ...workload }, by: { role: "admin" } });
});
after(() => line.close());

test("what failed is said with its reason, and tried again", async () => {
  const { control } = line;
  const report = { ...reportOf("h1"), policyRevision: control.revision };
  await control.report({ ...report, networks: [], errors: ["ip link add dev wx4096: no such device"] });
  const failed = (await line.weft(["network", "show", "blue"])).stdout;
  assert.match(failed, /^Endpoints: +1: 1 failed\nFailed: +on h1: ip link add dev wx4096: no such device$/m);
  const again = await line.weft(["network", "retry", "blue"]);
  assert.match(again.stderr, /^network blue: 1 host \(h1\): tried again at revision 4\n$/);
  await control.report({ ...report, revision: control.revision, networks: ["blue"] });
  assert.match((await line.weft(["network", "show", "blue"])).stdout, /^Endpoints: +1$/m);
  const none = await line.weft(["network", "retry", "blue"]);
  assert.equal(none.stderr, "network blue: nothing has failed; 1 up to date\n");
  assert.equal((await line.weft(["network", "retry", "none"])).code, 3);
});
