// Networks by Open vSwitch, with the datapath of ovs-vswitchd, which every machine has.
import { ovsTests } from "./lab/ovsSuite.ts";

ovsTests("netdev");
