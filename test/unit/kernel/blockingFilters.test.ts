// Which base chains of others stop packets to and from the host.
import assert from "node:assert/strict";
import { test } from "node:test";
import { chainsIn, blockingRules, droppingForward, namesAll } from "../../../src/kernel/blockingFilters.ts";

const CHAINS = `table inet weft {
\tchain tunnels_in {
\t\ttype filter hook prerouting priority -300; policy accept;
\t}
}
table ip filter {
\tchain INPUT {
\t\ttype filter hook input priority 0; policy drop;
\t}
\tchain DOCKER {
\t}
\tchain FORWARD {
\t\ttype filter hook forward priority 0; policy drop;
\t}
}
`;

test("base chains that packets to and from the host pass", () => {
  assert.deepEqual(chainsIn(CHAINS), [
    { table: "inet weft", name: "tunnels_in", hook: "prerouting", drops: false },
    { table: "ip filter", name: "INPUT", hook: "input", drops: true },
  ]);
});

test("a closed chain is a wall unless a rule names the port, and a rule that drops the port always is", () => {
  const input = { table: "ip filter", name: "INPUT", hook: "input", drops: true };
  const chain = (rule: string) => `table ip filter {\n\tchain INPUT {\n\t\t${rule}\n\t}\n}\n`;
  assert.deepEqual(blockingRules(input, chain("tcp dport 22 accept"), ["4789"]), [
    "chain INPUT of table ip filter (hook input) drops what no rule accepts, and none names 4789",
  ]);
  assert.deepEqual(blockingRules(input, chain("udp dport 4789 accept"), ["4789"]), []);
  assert.deepEqual(blockingRules({ ...input, drops: false }, chain("udp dport 4789 reject"), ["4789", "8472"]), [
    "chain INPUT of table ip filter (hook input): udp dport 4789 reject",
  ]);
  assert.deepEqual(blockingRules({ ...input, drops: false }, chain("tcp dport 14789 drop"), ["4789"]), []);
  assert.deepEqual(blockingRules(input, chain("meta l4proto gre accept"), ["gre"]), []);
  assert.deepEqual(blockingRules({ ...input, drops: false }, chain("ip protocol gre drop"), ["gre"]), [
    "chain INPUT of table ip filter (hook input): ip protocol gre drop",
  ]);
});

test("chains that drop what is forwarded, and whether their table is about a link", () => {
  const listing = `table ip filter {
	chain FORWARD {
		type filter hook forward priority filter; policy drop;
	}
	chain INPUT {
		type filter hook input priority filter; policy drop;
	}
}
table inet other {
	chain forward {
		type filter hook forward priority filter; policy accept;
	}
}
table bridge filter {
	chain FORWARD {
		type filter hook forward priority filter; policy drop;
	}
}
`;
  assert.deepEqual(
    droppingForward(listing).map(({ table, name }) => `${table} ${name}`),
    ["ip filter FORWARD"],
  );
  const rules = 'iifname "wb-lab" accept\n iifname { "br-mgmt", "x" } accept\n oifname "wc-*" accept';
  assert.ok(namesAll(rules, ["wb-lab", "br-mgmt", "wc-any"]));
  assert.ok(!namesAll(rules, ["wb-lab", "wb-other"]));
  assert.ok(!namesAll('ip saddr "wb-lab"', ["wb-lab"]));
});
