// What one endpoint's attach or detach changes for others on its host. Pure.
import { isAnyFurther } from "../../datapath/world/reach.ts";
import type { Endpoint } from "../../model/resource.ts";
import type { Entry } from "../journal/journal.ts";

/** Whether routes of other interfaces in its namespace change: of all but the one with the default route. */
export function changesOtherRoutes(entries: Iterable<Entry>, { name, spec }: Endpoint): boolean {
  const beside = [spec];
  for (const { endpoint, state } of entries)
    if (endpoint.spec.netns === spec.netns && endpoint.name !== name && state === "attached")
      beside.push(endpoint.spec);
  return isAnyFurther(beside, spec.ifname);
}

/** Whether an endpoint of the network is attached here. */
export function isInUse(entries: Iterable<Entry>, network: string): boolean {
  for (const { endpoint, state } of entries) if (endpoint.spec.network === network && state === "attached") return true;
  return false;
}
