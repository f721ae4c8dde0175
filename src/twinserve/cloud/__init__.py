"""Off this machine: what is sent to Cloud Run, Cloud Functions, Knative and Kubernetes, and the
calls that send it.

What is sent is built by pure functions from one deployment (:mod:`.order`, :mod:`.fit` and a file a
target); the calls go through Google's and Kubernetes' own client libraries, which the extra
``cloud`` brings and which are imported when a call is made.
"""
