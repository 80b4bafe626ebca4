// What spoofing filters let pass on a network, in words.
import { Fault } from "../../model/fault.ts";
import type { Spoofing } from "../../model/group.ts";
import { listOrNone } from "../input/options.ts";

const FIELDS: ReadonlyMap<string, keyof Spoofing> = new Map([
  ["mac", "mac"],
  ["ip", "ip"],
  ["dhcp-server", "dhcpServer"],
  ["router-advertisements", "routerAdvertisements"],
  ["broadcasts", "broadcasts"],
  ["tags", "tags"],
]);
export const SPOOFING_WORDS = [...FIELDS.keys()];

/** All that is allowed from now on; `none` is nothing. A Fault `request-invalid` for another word. */
export function spoofingOf(words: readonly string[]): Spoofing {
  const allowed = listOrNone(words, "--spoofing");
  return Object.fromEntries(
    allowed.map((word) => {
      const field = FIELDS.get(word);
      if (field !== undefined) return [field, true];
      throw new Fault("request-invalid", {
        what: `"${word}" is not something that spoofing filters can allow`,
        where: "--spoofing",
        fix: `choose from ${SPOOFING_WORDS.join(", ")}, or only none`,
      });
    }),
  );
}

export function spoofingText(spoofing: Spoofing = {}): string | undefined {
  const words = [...FIELDS].flatMap(([word, field]) => (spoofing[field] === true ? [word] : []));
  return words.length === 0 ? undefined : `allowed: ${words.join(", ")}`;
}
