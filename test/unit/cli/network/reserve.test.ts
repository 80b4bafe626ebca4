// Reservations and quotas at the command line: bin/weft against a real server.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CommandLine } from "../commandLine.ts";

const line = new CommandLine();
const done = async (...args: readonly string[]): Promise<string> => {
  const { code, stdout, stderr } = await line.weft(args);
  assert.equal(code, 0, stderr);
  assert.equal(stdout, "");
  return stderr;
};
const shown = async (...args: readonly string[]): Promise<string> => {
  const { code, stdout, stderr } = await line.weft(args);
  assert.equal(code, 0, stderr);
  return stdout;
};
type Shown = { readonly spec: { readonly ranges?: readonly { readonly name: string; readonly size: number }[] } };

before(async () => {
  await line.open();
  await line.joinHost("h1", "192.0.2.1");
  await done("network", "create", "blue", "--subnet", "10.7.0.0/24");
});
after(() => line.close());

test("reserve says what it reserved, and reserves more into the same", async () => {
  assert.match(
    await done("network", "reserve", "blue", "acme", "--size", "4", "--tenant", "acme"),
    /^10\.7\.0\.2 to 10\.7\.0\.5 of network blue reserved as acme at revision \d+\n$/,
  );
  assert.match(
    await done("network", "reserve", "blue", "acme", "--size", "1", "--mac", "02:00:0a:07:00:10"),
    /^10\.7\.0\.16 of network blue .*; acme has 2 pieces now\n$/,
  );
  await done("network", "reserve", "acme", "team", "--size", "2", "--first", "10.7.0.3");
  await done("network", "range", "resize", "acme", "piece-1", "--size", "6");
  const { spec } = await line.json<Shown>("network", "show", "acme");
  assert.deepEqual(
    spec.ranges?.map(({ name, size }) => [name, size]),
    [
      ["piece-1", 6],
      ["piece-2", 1],
    ],
  );
  await done("network", "range", "remove", "acme", "piece-2");
});

test("what cannot be meant is 2, what is in the way is 4", async () => {
  for (const [args, code, text] of [
    [["blue", "x", "--size", "0"], 2, /size.*expected at least 1, got 0/],
    [["blue", "x", "--size", "many"], 2, /"many" is not a whole number/],
    [["blue", "x"], 2, /--size/],
    [["blue", "x", "--size", "1", "--first", "10.7.0.9", "--mac", "02:00:0a:07:00:09"], 2, /both --first and --mac/],
    [["blue", "x", "--size", "1", "--first", "10.7.0"], 2, /10\.7\.0/],
    [["none", "x", "--size", "1"], 3, /no network "none"/],
    [["blue", "x", "--size", "300"], 4, /longest free run has 247, from 10\.7\.0\.8/],
    [["blue", "blue", "--size", "1"], 2, /from itself/],
  ] as const) {
    const { code: got, stdout, stderr } = await line.weft(["network", "reserve", ...args]);
    assert.deepEqual([got, stdout], [code, ""], stderr);
    assert.match(stderr, text);
  }
});

test("quotas are set, lifted and shown, and refuse", async () => {
  assert.match(await done("network", "quota", "blue", "acme=8", "zen=2"), /acme=8 zen=2/);
  assert.match(await shown("network", "quota", "blue"), /^TENANT +USED +QUOTA\nacme +6 +8\nzen +0 +2\n$/);
  const { code, stderr } = await line.weft(["network", "reserve", "blue", "more", "--size", "3", "--tenant", "acme"]);
  assert.equal(code, 4);
  assert.match(stderr, /cannot have 3 more of network "blue"[\s\S]*quota is 8, and 6 are used[\s\S]*quota blue acme=9/);
  await done("network", "edit", "acme", "--tenant", "corp");
  assert.match(await shown("network", "quota", "blue"), /acme +0 +8\ncorp +6 +-\nzen +0 +2/);
  await done("network", "quota", "blue", "acme=none", "zen=none");
  assert.match(await shown("network", "quota", "blue"), /^TENANT +USED +QUOTA\ncorp +6 +-\n$/);
  for (const text of ["acme", "acme=", "=5", "acme=-1"])
    assert.equal((await line.weft(["network", "quota", "blue", text])).code, 2, text);
});

test("network show, list and lease list say what is reserved and for whom", async () => {
  const text = await shown("network", "show", "blue");
  assert.match(text, /RESERVATION +TENANT +LEASES +PIECES\nacme +corp +6 +10\.7\.0\.2 to 10\.7\.0\.7\n/);
  assert.match(await shown("network", "show", "acme"), /Reserved from: +blue\n.*Tenant: +corp\n/s);
  assert.match(await shown("network", "list"), /^acme +from blue +global/m);
  const leases = await shown("lease", "list", "--network", "blue", "-o", "wide");
  assert.match(leases, /^10\.7\.0\.2-10\.7\.0\.7 +blue +- +acme +- +reserved .*for corp/m);
  assert.match(await shown("lease", "show", "10.7.0.5"), /Network +blue\nState +reserved\nOwner +acme|reserved/);
  assert.match(await shown("ipam", "map", "blue"), /R reserved/);
  assert.match(await shown("ipam", "map", "acme"), /acme 10\.7\.0\.0\/29: 0 of 4 addresses used/);
});

test("a network with reservations is not deleted; all of it is, by force, and people are told", async () => {
  const refused = await line.weft(["network", "delete", "blue"]);
  assert.equal(refused.code, 4);
  assert.match(refused.stderr, /has reservations[\s\S]*acme of tenant corp[\s\S]*team/);
  const { code, stderr } = await line.weft(["network", "delete", "blue", "--force", "--yes"]);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /deleted at revision \d+, with 2 reservations/);
  assert.match(await shown("network", "list"), /^$/);
});
