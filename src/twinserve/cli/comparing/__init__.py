"""The parts of ``twinserve compare``: what is compared, how it is measured, when it ends."""
