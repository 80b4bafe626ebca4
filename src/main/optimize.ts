// How soon V8 optimises a daemon's code. By default, code that runs once per attach is optimised after 3,000 attaches,
// which takes months on most hosts; after 300 an attach takes 6 to 9 % less time (docs/decisions/0018).
import { setFlagsFromString } from "node:v8";

/**
 * V8 reads it whenever a function has used up a budget, so it may be set at any time; a V8 without the option ignores
 * it.
 */
export const EARLY = "--invocation-count-for-turbofan=300";

/** For processes that run for long. */
export function optimizeEarly(): void {
  setFlagsFromString(EARLY);
}
