// Values of a preflight that go over the wire: which ways a host is to try to its peers, what came of it, and the
// report. A preflight needs no network: hosts send each other trial packets, which their agents answer, in the very
// form of tunnel packets.
import Type from "typebox";
import { DriverName } from "./driver.ts";
import { type Value, AnyText, AnyTexts, HOSTS_MAX, Text, Texts, oneOf, optional, strictObject } from "./schema.ts";

/** Sizes are those of whole IP packets, in bytes. */
const Size = Type.Integer({ minimum: 0, maximum: 65_535 });

export const Channel = strictObject({
  driver: DriverName,
  port: Type.Integer({ minimum: 0, maximum: 65_535, description: "0 for a driver without ports." }),
});

/** What a host is asked to try. All hosts of a preflight try at the same time, and answer each other. */
export const Trial = strictObject({
  peers: Type.Array(strictObject({ host: Type.String(), underlay: Text("Where the peer gets tunnel packets.") })),
  channels: Type.Array(Channel),
});
export type Channel = Value<typeof Channel>;
export type Trial = Value<typeof Trial>;

const Tried = strictObject({
  channel: Channel,
  passed: Type.Integer({
    minimum: 0,
    maximum: 65_535,
    description: "Size of the largest packet to the peer that arrived, by the peer's answer. 0: no answer.",
  }),
  heard: Type.Boolean({ description: "Whether packets of the peer arrived here." }),
});

/** What a host found out about the way to one peer. */
const TriedPeer = strictObject({
  host: Type.String({ maxLength: 253 }),
  ping: Type.Boolean({ description: "Whether the peer answered an echo request." }),
  channels: Type.Array(Tried, { maxItems: 64 }),
});

export const TrialResult = strictObject({
  mtu: Size,
  peers: Type.Array(TriedPeer, { maxItems: 10_000 }),
  filters: AnyTexts("Filters of others on the host that may drop these packets."),
  obstacle: optional(Type.String({ maxLength: 1000, description: "Why the host could not try." })),
});
export type TrialResult = Value<typeof TrialResult>;

export const PreflightRequest = strictObject({
  network: optional(Text("Only the hosts that carry this network, by its tunnel. Default: all hosts, all tunnels.")),
  hosts: optional(Texts("Only these hosts.", HOSTS_MAX)),
});
export type PreflightRequest = Value<typeof PreflightRequest>;

/** One way between two hosts: one channel, in one direction. */
const Way = strictObject({
  from: Type.String(),
  to: Type.String(),
  channel: Channel,
  state: oneOf(
    ["passes", "small", "one-way", "blocked", "dead", "untried"],
    "passes: full packets arrive and are answered. small: only smaller ones. one-way: they arrive, but no answer " +
      "does. blocked: the hosts reach each other, but these packets do not arrive. dead: nothing arrives. " +
      "untried: one of the hosts could not try.",
  ),
  size: Size,
  why: optional(AnyText("What is wrong, and what to do.")),
});
export type Way = Value<typeof Way>;

export const PreflightReport = strictObject({
  hosts: AnyTexts("That were asked."),
  ways: Type.Array(Way, { description: "All ways, in the order of hosts." }),
  problems: AnyTexts(
    "One line for each way that does not pass whole packets, for each host that could not try, and for each that " +
      "lacks what a driver needs.",
  ),
});
export type PreflightReport = Value<typeof PreflightReport>;
