"""Train a small model on a simulated community and save it, for the lean job."""

import sys

import leadlight as ll

community, _ = ll.simulate_community(members=3_000, weeks=104, seed=0)
observations = ll.observe(community, every="30d", horizon="90d")
qualifier = ll.LeadQualifier(catalogue=ll.CORPORATE_COMMUNITY, decision=ll.Capacity(share=0.05))
qualifier.fit(community, observations)
qualifier.save(sys.argv[1])
