// What all kinds of links do alike: one message makes or changes a link, another puts the mark on it. A link that is
// there but not as Weft leaves every link is read with an MTU of 0, which is never desired: so the next diff sets it
// again, and setting a link restores all of that.
import type { LinkObject } from "../../datapath/state/state.ts";
import { type Macs, type PortOfBridge, groupsOf } from "../../datapath/kinds/links.ts";
import type { Ns } from "../../datapath/kinds/kind.ts";
import { kindOf } from "../../datapath/kinds.ts";
import { EEXIST, refusalOf, refuse } from "../errno.ts";
import { type LinkHooks, masterOf } from "../fakeMachine.ts";
import * as k from "../netlink/constants.ts";
import { type LinkInfo, setLink } from "../netlink/link.ts";
import type { MessageWriter } from "../netlink/wire.ts";
import { isOurs, isRouted } from "../ownership.ts";
import { LINK_EVENTS } from "./events.ts";
import { fakeLink } from "./fake.ts";
import { type KernelKind, type Observe, type SeenLink, type StepContext, kernelKind, oneStep } from "./kind.ts";

type LinkKind<T extends LinkObject> = {
  readonly create: (context: StepContext, object: T) => void;
  /** Sends what setLink() does not change of a link that is there. */
  readonly configure?: (context: StepContext, object: T, index: number) => void;
  /** Where an operation takes more than one step. */
  readonly steps?: KernelKind<T>["steps"];
  readonly decode: (link: LinkInfo, seen: SeenLink) => T;
  readonly isExtra?: Observe<T>["isExtra"];
  readonly fake: LinkHooks<T>;
};

export function linkKind<T extends LinkObject>({ create, configure, steps, decode, isExtra, fake }: LinkKind<T>) {
  return kernelKind<T>({
    way: { put: "messages", remove: "links" },
    steps:
      steps ??
      oneStep((context, { op, object }) => {
        if (op === "add") create(context, object);
        else changeLink(context, object, configure);
      }),
    explain(existing, object, said) {
      const devices = kindOf(object as LinkObject).devices(object);
      const texts = [said, ...devices.map(({ ns, name }) => existing.linkText(ns, name))];
      return refusalOf(EEXIST, texts.filter((text) => text !== "").join("; "));
    },
    observe: { link: decode, ...(isExtra === undefined ? {} : { isExtra }) },
    events: LINK_EVENTS,
    fake: fakeLink(fake),
  });
}

/** Brings a link of ours to what it should be, by its mark as it is now and not as it was observed. Gives its index. */
export function changeLink<T extends LinkObject>(
  context: StepContext,
  object: T,
  configure: LinkKind<T>["configure"],
): number {
  const link = linkOfOurs(context, object.name);
  const bridge = masterOf(object);
  const master = bridge === undefined ? 0 : context.indexOf(bridge);
  setLink(context.w, context.seq(), link.index, {
    alias: object.alias,
    ...(link.mtu === object.mtu ? {} : { mtu: object.mtu }),
    ...(link.mac === object.mac ? {} : { mac: object.mac }),
    ...(master === link.master ? {} : { master }),
    ...(link.forwards || !isRouted(object) ? {} : { forwards: true }),
  });
  configure?.(context, object, link.index);
  return link.index;
}

/** The link as it is now. Throws Refused if there is none, or another's. */
export function linkOfOurs(context: StepContext, name: string): LinkInfo {
  const link = linkIn(context, name);
  return isOurs(link) ? link : refuse("exists", describeLink(link, context.space.ns));
}

/** The same, whoever made it. */
export function linkIn(context: StepContext, name: string): LinkInfo {
  return context.link(name) ?? refuse("missing", `there is no link ${name} in ${context.space.ns}`);
}

/** What a link is, for a refusal. */
export function describeLink(link: LinkInfo, ns: Ns): string {
  const kind = link.kind === "" ? "device" : link.kind;
  const whose = isOurs(link) ? `ours (${link.alias})` : "not ours";
  return `${link.name} in ${ns} is a ${kind} that is ${whose}`;
}

/** What makes packets be routed through a link, where they are. */
export function forwarding(object: LinkObject): { readonly forwards?: true } {
  return isRouted(object) ? { forwards: true } : {};
}

/** How a bridge learns MACs behind a port, and whether frames to unknown MACs go there: attributes of the port. */
export function learningAttributes(w: MessageWriter, { macs }: PortOfBridge): void {
  w.attrU8(k.IFLA_BRPORT_LEARNING, macs === undefined ? 0 : 1);
  w.attrU8(k.IFLA_BRPORT_UNICAST_FLOOD, macs === "flooded" ? 1 : 0);
}

/** The port of a bridge that a link is. */
export function portOf(link: LinkInfo, { master }: SeenLink): PortOfBridge {
  if (master === undefined) return {};
  const macs: Macs | undefined = link.floods ? "flooded" : link.learning ? "learned" : undefined;
  return { master, ...(macs === undefined ? {} : { macs }) };
}

/** Whether a port shows groups of bridges to the hooks, as its kind of learning demands. */
export function showsGroups(link: LinkInfo, port: PortOfBridge): boolean {
  return port.master === undefined || link.groups === groupsOf(port);
}
