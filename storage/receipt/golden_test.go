package receipt

// golden is what key(1) signed of sample().
const golden = `{
  "payloadType": "application/vnd.reuna.erasure+json",
  "payload": "eyJyZWNlaXB0IjoicmV1bmEgZXJhc3VyZSAxIiwiaWQiOiJlcl8xIiwiaW5zdGFsbCI6IjM0NzUwZjk4YmQ1OWZjZmMiLCJvcmlnaW4iOiIwZjBmMGYwZjBmMGYwZjBmMGYwZjBmMGYwZjBmMGYwZiIsInNlcSI6ODEyLCJyZXF1ZXN0ZWQiOiIyMDI2LTAzLTAxVDA5OjAwOjAwWiIsImRlY2lkZWQiOiIyMDI2LTAzLTAxVDA5OjAwOjAxWiIsImNvbXBsZXRlZCI6IjIwMjYtMDMtMDFUMDk6MDA6MDQuMDA1WiIsInZpZXciOiJhbGwiLCJpZGVudGlmaWVycyI6WyJhYmFiYWJhYmFiYWJhYmFiYWJhYmFiYWJhYmFiYWJhYiIsIjAxMDEwMTAxMDEwMTAxMDEwMTAxMDEwMTAxMDEwMTAxIl0sImZhY2V0cyI6MywiZXZlbnRzIjoyNDAsImxvZ0VudHJpZXNCbGFua2VkIjoxMiwiaGlzdG9yeUNodW5rcyI6NywiZXZpZGVuY2VSZWNvcmRzIjo0LCJzZXNzaW9ucyI6MSwicmVmdXNlZCI6Miwia2V5c0Rlc3Ryb3llZCI6NSwiZ3JvdXBzUmV3cml0dGVuIjo1LCJ0b21ic3RvbmVzIjoyLCJjb21wYWN0ZWRSYW5nZXMiOjksInJlYXNvbiI6IkFydC4gMTcgXHUwMDNjR0RQUlx1MDAzZSJ9",
  "signatures": [
    {
      "keyid": "34750f98bd59fcfc",
      "sig": "q9gVfOxyfjtG8vn1NUIpvdNOCz+880OMl7obrmzDO1RWok1fKEcfRuqo0f31HjeG6E1JHuj3VSGNfsvh7oAVCA=="
    }
  ],
  "publicKey": "iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w="
}
`
