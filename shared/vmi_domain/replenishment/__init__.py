"""What to send, how much and when: policies, quantities, order opportunities, and the life of a proposal."""
