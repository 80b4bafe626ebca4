// Checksums that the kernel writes before packets enter a tunnel: tx-checksum-ip-generic of its device is off. (Ports
// of Open vSwitch have no such object: without a kernel datapath they are taps, of which it is always off.)
import type { Checksums } from "../../datapath/kinds/entries.ts";
import { isTunnel } from "../../datapath/kinds.ts";
import { EEXIST, refusalOf, refuse } from "../errno.ts";
import { linkByName } from "../netlink/link.ts";
import { isOurs } from "../ownership.ts";
import { LINK_EVENTS } from "./events.ts";
import { fakeEntry } from "./fake.ts";
import { type EntryReader, kernelKind } from "./kind.ts";
import { describeLink } from "./links.ts";

const entry: EntryReader<Checksums> = {
  list: ({ links, writesChecksums }) =>
    links.filter((link) => isOurs(link) && isTunnel(link.kind) && writesChecksums(link)),
  decode: (_link, on) => ({ kind: "checksums", ...on }),
  isOnAnyLink: false,
};

export const checksums = kernelKind<Checksums>({
  // By ioctl: what was gathered before makes the device.
  way: { put: "call", remove: "call" },
  call({ op, object: { ns, dev } }, namespaces, { setMakesChecksums }) {
    namespaces.inside(ns, (space) => {
      const link = space.socket.ask(linkByName(dev));
      // What is gone, or another's by now, is as good as on.
      if (op === "remove" && (link === undefined || !isOurs(link))) return;
      if (link === undefined) refuse("missing", `there is no link ${dev} in ${ns}`);
      if (!isOurs(link)) refuse("exists", describeLink(link, ns));
      setMakesChecksums(space, dev, op !== "remove");
    });
  },
  explain: () => refusalOf(EEXIST, ""),
  observe: { entry },
  // The kernel tells of features as of any change of a link (NETDEV_FEAT_CHANGE).
  events: LINK_EVENTS,
  fake: fakeEntry({}),
});
