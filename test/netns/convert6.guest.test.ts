// The same as convert.guest.test.ts over an IPv6 underlay: other devices, and 62 bytes of headers instead of 42.
import { inGuest } from "../guest/inGuest.ts";
import { convertSuite } from "./lab/convertSuite.ts";

await inGuest(import.meta.filename, () => convertSuite(6));
