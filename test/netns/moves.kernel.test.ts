// What the host has on a device goes onto a bridge and back a hundred times: at each moment one of them has it.
import assert from "node:assert/strict";
import { closeSync, openSync } from "node:fs";
import { after, before, test } from "node:test";
import { NetlinkSocket } from "../../src/kernel/netlink/socket.ts";
import { takeOversBy } from "../../src/kernel/takeOver/takeOver.ts";
import { ThreadNetns } from "../../src/kernel/threadNetns.ts";
import { must, run } from "./lab/cluster.ts";
import { watchAddresses } from "./lab/routeEvents.ts";

const NETNS = `wtmv${process.pid}`;
const OWN = ["172.31.77.11", "fd77::11"];
const TIMES = 100;
const NETLINK_ROUTE = 0;

before(async () => {
  await must("ip", "netns", "add", NETNS);
  for (const words of [
    "link add eth0 address 02:00:00:00:77:11 type veth peer name far",
    "link add wb-a address 02:00:00:00:77:11 type bridge",
    ...["lo", "eth0", "far", "wb-a"].map((dev) => `link set ${dev} up`),
    `address add ${OWN[0]}/24 dev eth0`,
    `address add ${OWN[1]}/64 dev eth0 nodad`,
    "route add default via 172.31.77.1",
    "-6 route add default via fd77::1",
  ])
    await must("ip", "-n", NETNS, ...words.split(" "));
});
after(() => run("ip", "netns", "delete", NETNS));

function socketIn(netns: string): NetlinkSocket {
  const thread = new ThreadNetns();
  const fd = openSync(`/run/netns/${netns}`, "r");
  try {
    return thread.within(fd, () => new NetlinkSocket(NETLINK_ROUTE));
  } finally {
    closeSync(fd);
    thread.close();
  }
}

test("an address is never on neither, and the routes are what they were", async () => {
  const socket = socketIn(NETNS);
  const { hostUse, takeOver, giveBack } = takeOversBy(() => socket);
  const routes = async () => [
    await must("ip", "-n", NETNS, "route", "show", "default"),
    await must("ip", "-n", NETNS, "-6", "route", "show", "default"),
  ];
  const wasBefore = await routes();
  const bare = await watchAddresses(NETNS, ["eth0", "wb-a"], OWN);
  for (let n = 0; n < TIMES; n++) {
    const use = hostUse("eth0");
    assert.deepEqual(use?.addresses.map(({ cidr }) => cidr).sort(), [`${OWN[0]}/24`, `${OWN[1]}/64`]);
    assert.equal(await takeOver(use, "wb-a"), undefined);
    assert.equal(await giveBack({ use, bridge: "wb-a", isSure: true }), undefined);
  }
  assert.deepEqual(await bare(), []);
  assert.deepEqual(await routes(), wasBefore);
  socket.close();
});
