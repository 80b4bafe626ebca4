// What files of hosts say of one network, and the network that comes of it.
import type { NetworkInput } from "../model/input.ts";
import type { Segment } from "./segments.ts";

/** One network as several hosts' files say it. */
export type Draft = { readonly name: string; readonly said: Said[] };
export type Said = {
  readonly host?: string | undefined;
  readonly segment: Segment;
  readonly lacks: readonly UnsaidField[];
};

/** Fields of networks that files can say. Those of drivers to come are text here. */
export type Spec = Omit<NetworkInput, "driver"> & { readonly driver: string } & {
  readonly [field in "vlan" | "outerVlan"]?: number;
} & { readonly parent?: string };
/** Fields that some formats have no words for: what a file of theirs does not say is no other value. */
export type UnsaidField = "offload";
export type NetworkItem = { readonly kind: "network"; readonly name: string; readonly spec: Spec };
