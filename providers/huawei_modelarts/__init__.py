"""Huawei Cloud ModelArts: the VPC high-speed channel and the inference gateway of real-time services."""
