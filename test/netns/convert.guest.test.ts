// A network changes its driver from VXLAN to GRE and back under traffic, on a kernel that has both.
import { inGuest } from "../guest/inGuest.ts";
import { convertSuite } from "./lab/convertSuite.ts";

await inGuest(import.meta.filename, () => convertSuite(4));
