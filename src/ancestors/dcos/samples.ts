// Configurations and states that DC/OS publishes, as data of tests: what they say is fact, and ours must say the same.

/** Community edition, 1.8/1.9: two networks. */
export const COMMUNITY = `
    agent_list:
    - 10.10.0.117
    - 10.10.0.116
    # Use this bootstrap_url value unless you have moved the DC/OS installer assets.
    bootstrap_url: file:///opt/dcos_install_tmp
    cluster_name: <cluster-name>
    master_discovery: static
    master_list:
    - 10.10.0.120
    - 10.10.0.119
    - 10.10.0.118
    resolvers:
    - 8.8.4.4
    - 8.8.8.8
    ssh_port: 22
    ssh_user: centos
    dcos_overlay_network:
      vtep_subnet: 44.128.0.0/20
      vtep_mac_oui: 70:B3:D5:00:00:00
      overlays:
        - name: dcos
          subnet: 9.0.0.0/8
          prefix: 26
        - name: dcos-1
          subnet: 192.168.0.0/16
          prefix: 24
`;

/** Enterprise edition: what is there without a word from the operator. */
export const ENTERPRISE = `
  dcos_overlay_network:
    vtep_subnet: 192.15.0.0/20
    vtep_mac_oui: 70:B3:D5:00:00:00
    overlays: 
      - name: dcos-1
        subnet: 192.168.0.0/17
        prefix: 24
      - name: dcos-2
        subnet: 192.168.128.0/17
        prefix: 24
`;

/** Enterprise edition with a third network, copied from a page that escapes angle brackets. */
export const ENTERPRISE_ESCAPED = `
    agent_list:
    - 10.10.0.117
    - 10.10.0.116
    bootstrap_url: file:///opt/dcos_install_tmp
    cluster_name: &lt;cluster-name&gt;
    master_discovery: static
    master_list:
    - 10.10.0.120
    - 10.10.0.119
    - 10.10.0.118
    dcos_overlay_network:
      vtep_subnet: 192.15.0.0/20
      vtep_mac_oui: 70:B3:D5:00:00:00
      overlays: 
        - name: dcos-1
          subnet: 192.168.0.0/17
          prefix: 24
        - name: dcos-2
          subnet: 192.168.128.0/17
          prefix: 24
        - name: dcos-3
          subnet: 44.128.0.0/16
          prefix: 24
`;
