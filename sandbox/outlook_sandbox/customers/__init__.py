"""Stands for Attendara's other services: they read appointments and pass on what customers answer."""
